"""What a transaction knows of resources: as they are stored, and as it has changed them. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fhir_server.access.policy import Access
from fhir_server.r4 import json
from fhir_server.store import hl7_lineage, identified
from fhir_server.store.hl7_lineage import NONE
from fhir_server.store.identified import Found, Wanted
from fhir_server.store.store import Store
from hl7_gateway.delivery.merge import Body, Lineage

Identifier = tuple[str, str, str]
"""Resource type, system and value."""

LONGEST_CHAIN: Final = 16
"""How many merges in a row are followed."""


@dataclass(frozen=True, slots=True)
class Known:
    """A resource: ``version`` 0 was never there, ``body`` None is not there now. ``lineage`` None is not loaded yet."""

    type: str
    id: str
    version: int = 0
    meta: bytes | None = None
    body: bytes | None = None
    lineage: bytes | None = NONE

    @property
    def path(self) -> str:
        """Type/id"""
        return f"{self.type}/{self.id}"

    @property
    def there(self) -> bool:
        """Whether there is such a resource, not deleted."""
        return self.body is not None

    def content(self) -> Body:
        """A copy of its content, with the client's meta, to be changed."""
        if self.body is None:
            return {}
        body: Body = json.parse(self.body)
        return {**body, "meta": json.parse(self.meta)} if self.meta else body

    def said(self) -> Lineage:
        """A copy of its lineage, to be changed."""
        found: Lineage = json.parse(self.lineage or NONE) if self.there else {}
        return found


def successor(known: Known) -> str:
    """The "Patient/id" that a patient lives on as; "" for one who does not."""
    if known.type != "Patient" or known.body is None or b"replaced-by" not in known.body:
        return ""
    body = json.parse(known.body)
    if body.get("active") is not False:
        return ""
    links = (link for link in body.get("link", ()) if link.get("type") == "replaced-by")
    found = next((link["other"].get("reference", "") for link in links), "")
    return found if found.startswith("Patient/") and found.count("/") == 1 else ""


class Shelf:
    """Resources that were looked up, for all messages of a transaction.

    ``touched`` are the names and identifiers of what messages of this transaction have changed.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self.touched: set[str | Identifier] = set()
        self._store = store
        self._access = access
        self._known: dict[str, Known] = {}
        self._identified: dict[Identifier, list[str]] = {}
        self._found_by: dict[str, frozenset[Identifier]] = {}

    def has(self, path: str) -> bool:
        """Whether it was looked up by its name, or found."""
        return path in self._known

    def fetch(self, many: Iterable[Wanted]) -> None:
        """Look up what is not known yet, in one statement."""
        locked: dict[tuple[str, str | None, str], bool] = {}
        for one in many:
            if one.system is None:
                if f"{one.type}/{one.value}" in self._known:
                    continue
            elif (one.type, one.system, one.value) in self._identified:
                continue
            key = (one.type, one.system, one.value)
            locked[key] = locked.get(key, False) or one.locked
        wanted = [Wanted(*key, locked=flag) for key, flag in locked.items()]
        if not wanted:
            return
        store = self._store
        answers = store.within(lambda c: identified.find(c, store.tenant_id, store.hasher, self._access, wanted))
        for one, found in zip(wanted, answers, strict=True):
            self._note(one, found)

    def _note(self, wanted: Wanted, found: Sequence[Found]) -> None:
        for one in found:
            known = Known(one.type, one.id, one.version, one.meta, one.body, None)
            self._known.setdefault(known.path, known)
        if wanted.system is None:
            self._known.setdefault(f"{wanted.type}/{wanted.value}", Known(wanted.type, wanted.value))
        else:
            key = (wanted.type, wanted.system, wanted.value)
            paths = self._identified[key] = [f"{one.type}/{one.id}" for one in found]
            for path in paths:
                self._found_by[path] = self._found_by.get(path, frozenset()) | {key}

    def trace(self, paths: Iterable[str]) -> None:
        """Load the lineage of these, in one statement: after they were locked, so that it is that of their version."""
        hasher = self._store.hasher
        asked = [path for path in dict.fromkeys(paths) if (known := self._known[path]).there and known.lineage is None]
        if not asked:
            return
        keys = {path: hasher.uncached(path) for path in asked}
        found = self._store.within(lambda c: hl7_lineage.load(c, self._store.tenant_id, list(keys.values())))
        for path, key in keys.items():
            self._known[path] = replace(self._known[path], lineage=found.get(key, NONE))

    def get(self, path: str) -> Known:
        """A resource by its name, looked up where it is not known yet."""
        if path not in self._known:
            resource_type, _, resource_id = path.partition("/")
            self.fetch([Wanted(resource_type, None, resource_id)])
        return self._known[path]

    def with_identifier(self, identifier: Identifier) -> list[str]:
        """The names of the resources with an identifier, the oldest first."""
        if identifier not in self._identified:
            self.fetch([Wanted(*identifier)])
        return self._identified[identifier]

    def put(self, known: Known) -> None:
        """Note what a resource is from now on, and by which identifiers it is found from now on."""
        path = known.path
        self._known[path] = known
        self.touched.add(path)
        before = self._found_by.get(path, frozenset())
        after = frozenset(key for key in _identifiers(known) if key in self._identified)
        self._found_by[path] = after
        for key in before - after:
            self._identified[key].remove(path)
        for key in after - before:
            self._identified[key].append(path)
        self.touched.update(before ^ after)


def _identifiers(known: Known) -> Iterator[Identifier]:
    """The identifiers that a resource is found by."""
    if known.body is None or b'dentifier"' not in known.body:
        return
    body = json.parse(known.body)
    for name in ("identifier", "masterIdentifier"):
        found = body.get(name, ())
        for one in found if isinstance(found, list | tuple) else (found,):
            if "system" in one and "value" in one:
                yield known.type, one["system"], one["value"]
