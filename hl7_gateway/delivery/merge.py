"""A resource while messages state things of it: what was said before under a slot is replaced. docs/hl7.md

What a slot said is found again by the digests of its values, not by their places: an entry that was changed over REST
meanwhile has another digest, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhir_server.store.hl7_lineage import digest
from hl7_gateway.conversion.draft import Said, Stated
from hl7_gateway.delivery.elements import Kind, kind_of

Body = dict[str, Any]
"""A resource as JSON, without its type and id."""

Lineage = dict[str, dict[str, dict[str, Any]]]
"""Path -> slot -> {"m": message, "v": version of the mapping, "s": [[digest, {path below the value: place}], ...]}."""


@dataclass(slots=True)
class _List:
    """The digests of a list's entries in their order, and how many slots lay claim to each digest."""

    digests: list[str]
    there: set[str]
    claims: dict[str, int]


@dataclass(slots=True)
class Merging:
    """One resource under the statements of one message.

    ``body`` and ``lineage`` are changed in place. ``changed`` says whether there is a new version to be written,
    ``traced`` whether the lineage is another. ``message`` and ``version`` (of the mapping) are what lineage tells.
    """

    type: str
    body: Body
    lineage: Lineage
    message: int
    version: str
    changed: bool = False
    traced: bool = False
    _lists: dict[str, _List] = field(default_factory=dict)

    def state(self, stated: Stated) -> None:
        """Take a statement in. Raises NoSuchElement for one that the resource type does not have."""
        kind = kind_of(self.type, stated.path)
        holder, name = self._holder(stated.path, make=bool(stated.values))
        if holder is None:
            self._forget(stated.path, stated.slot if kind.repeats else None)
            return
        if stated.initial and (name in holder or any(one in holder for one in kind.rivals)):
            return
        if kind.repeats:
            self._entries(holder, name, stated)
        elif stated.values:
            self._value(holder, name, stated, kind)
        else:
            self._clear(holder, name, stated.path, kind)
        if not stated.values:
            self._prune(stated.path)

    def _holder(self, path: str, *, make: bool) -> tuple[Body | None, str]:
        *above, name = path.split(".")
        holder: Body | None = self.body
        for step in above:
            if holder is None:
                break
            found = holder.get(step)
            if found is None and make:
                found = holder[step] = {}
            holder = found
        return holder, name

    def _prune(self, path: str) -> None:
        """Take away objects that have become empty, which FHIR's JSON does not know."""
        above = path.split(".")[:-1]
        while above:
            holder, name = self._holder(".".join(above), make=False)
            if holder is None or holder.get(name):
                return
            holder.pop(name, None)
            above.pop()

    def _value(self, holder: Body, name: str, stated: Stated, kind: Kind) -> None:
        said = stated.values[0]
        for rival in kind.rivals:
            self._drop(holder, rival, stated.path, name)
        known = digest(said.value)
        if name not in holder or digest(holder[name]) != known:
            self._extension_of(holder, name, stated.path)
            holder[name] = said.value
            self.changed = True
        if isinstance(said.value, dict):
            for below in [path for path in self.lineage if path.startswith(stated.path + ".")]:
                self._forget(below, None)
            for below in [path for path in self._lists if path.startswith(stated.path + ".")]:
                del self._lists[below]
        slots = self.lineage.get(stated.path)
        if slots is None or len(slots) != 1 or _digests(slots.get(stated.slot)) != [known]:
            self.lineage[stated.path] = {stated.slot: self._entry([(known, said)])}
            self.traced = True

    def _extension_of(self, holder: Body, name: str, path: str) -> None:
        """Take away what extends a value that is replaced, unless this message has just said it."""
        if name.startswith("_") or "_" + name not in holder:
            return
        beside = f"{path[: len(path) - len(name)]}_{name}"
        if not any(slot["m"] == self.message for slot in self.lineage.get(beside, {}).values()):
            self._drop(holder, "_" + name, path, name)

    def _clear(self, holder: Body, name: str, path: str, kind: Kind) -> None:
        beside = () if name.startswith("_") else ("_" + name, *kind.rivals)
        for one in (name, *beside):
            self._drop(holder, one, path, name)

    def _drop(self, holder: Body, name: str, path: str, instead_of: str) -> None:
        """Take away a property beside the one that ``path`` leads to, with its lineage."""
        if name in holder:
            del holder[name]
            self.changed = True
        self._forget(path[: len(path) - len(instead_of)] + name, None)

    def _entries(self, holder: Body, name: str, stated: Stated) -> None:
        entries: list[Any] = holder.setdefault(name, [])
        known = self._list(stated.path, entries)
        slots = self.lineage.get(stated.path, {})
        before = _digests(slots.get(stated.slot))
        new = {digest(said.value): said for said in stated.values}
        if before != list(new) or not all(one in known.there for one in new):
            for one in dict.fromkeys(before):
                known.claims[one] -= 1
            gone = {one for one in before if not known.claims[one] and one in known.there}
            was = list(known.digests) if gone else []
            at = _take_out(entries, known, gone) if gone else len(entries)
            added = [one for one in new if one not in known.there]
            entries[at:at] = [new[one].value for one in added]
            known.digests[at:at] = added
            known.there.update(added)
            for one in new:
                known.claims[one] = known.claims.get(one, 0) + 1
            if (known.digests != was) if gone else added:
                self.changed = True
            self._claim(stated, list(new.items()))
        if not entries:
            del holder[name]
            self._lists.pop(stated.path)

    def _list(self, path: str, entries: list[Any]) -> _List:
        known = self._lists.get(path)
        if known is None:
            digests = [digest(entry) for entry in entries]
            claims: dict[str, int] = {}
            for slot in self.lineage.get(path, {}).values():
                for one in set(_digests(slot)):
                    claims[one] = claims.get(one, 0) + 1
            known = self._lists[path] = _List(digests, set(digests), claims)
        return known

    def _claim(self, stated: Stated, new: list[tuple[str, Said]]) -> None:
        if new:
            self.lineage.setdefault(stated.path, {})[stated.slot] = self._entry(new)
            self.traced = True
        else:
            self._forget(stated.path, stated.slot)

    def _entry(self, said: list[tuple[str, Said]]) -> dict[str, Any]:
        return {"m": self.message, "v": self.version, "s": [[known, one.texts] for known, one in said]}

    def _forget(self, path: str, slot: str | None) -> None:
        """Nothing of a path (None), or of what a slot said of it, is there any more."""
        slots = self.lineage.get(path)
        if slots is None or (slot is not None and slot not in slots):
            return
        self.traced = True
        if slot is not None:
            del slots[slot]
        if slot is None or not slots:
            del self.lineage[path]


def _digests(slot: dict[str, Any] | None) -> list[str]:
    return [] if slot is None else [one for one, _ in slot["s"]]


def _take_out(entries: list[Any], known: _List, gone: set[str]) -> int:
    """Take entries that are there out of a list; answers where what replaces them belongs."""
    at = next(place for place, one in enumerate(known.digests) if one in gone)
    kept = [place for place, one in enumerate(known.digests) if one not in gone]
    entries[:] = [entries[place] for place in kept]
    known.digests[:] = [known.digests[place] for place in kept]
    known.there -= gone
    return at
