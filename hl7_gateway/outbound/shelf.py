"""Resources as a destination may see them: decided like every read, and noted for the audit trail. docs/access.md"""

from __future__ import annotations

from typing import Any, Final

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions import past, search
from fhir_server.interactions.context import Context, Tenant
from fhir_server.interactions.search import Match
from fhir_server.r4 import json
from fhir_server.r4.own_references import relative_to
from fhir_server.store.resources import TYPE_IDS, Stored
from fhir_server.store.searching import ConsentsFound
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from hl7_gateway.outbound.destination import Destination

Resource = dict[str, Any]

_MOST: Final = 20
"""How many reports of one result are told of."""


class Shelf:
    """What one message is made from. Each resource is read once, so that a message says one thing of it.

    ``patients`` are the keys of the patients whom it tells of.
    """

    def __init__(self, database: Database, hasher: Hasher, destination: Destination, base_url: str) -> None:
        row = destination.row
        store = Store(database, hasher, row.tenant_id)
        self._ctx = Context(Tenant(row.tenant_id, row.slug), destination.principal, Access(()), store, base_url)
        self._read: dict[tuple[str, str, int], Resource | None] = {}
        self.patients: set[int] = set()

    def read(self, kind: str, number: str, version: int = 0) -> Resource | None:
        """A resource as it is now, or a version of it; None for what is not there, was deleted, or is out of reach.

        Raises Unavailable.
        """
        key = (kind, number, version)
        if key not in self._read:
            self._read[key] = self._seen(kind, number, version)
        return self._read[key]

    def _seen(self, kind: str, number: str, version: int) -> Resource | None:
        if kind not in TYPE_IDS:
            return None
        access = self._ctx.decide("vread" if version else "read", kind)
        found = past.seen(self._ctx, access, kind, number, str(version) if version else "")
        return None if found is None else self._opened(found)

    def _opened(self, found: Stored) -> Resource:
        if found.patient is not None:
            self.patients.add(found.patient)
        opened: Resource = relative_to(self._ctx.base_url, json.parse(found.to_bytes()))
        return opened

    def reports_of(self, number: str) -> list[Resource]:
        """The DiagnosticReports that an Observation is a result of, itself or as a member of one."""
        panels = self._matches("Observation", "has-member", number)
        found: dict[str, Resource] = {}
        for one in (number, *(panel.id for panel in panels)):
            for match in self._matches("DiagnosticReport", "result", one):
                report = self.read("DiagnosticReport", match.id)
                if report is not None:
                    found[match.id] = report
        return list(found.values())

    def _matches(self, kind: str, parameter: str, observation: str) -> list[Match]:
        access = self._ctx.decide("search-type", kind)
        if access.nothing:
            return []
        inner = self._ctx.within(self._ctx.store, access)
        try:
            return search.matches(inner, kind, ((parameter, f"Observation/{observation}"),), _MOST)
        except ConsentsFound:
            # The store knows better from now on.
            return search.matches(inner, kind, ((parameter, f"Observation/{observation}"),), _MOST)

    def deleted(self, kind: str, number: str, version: int) -> bool:
        """Whether a version says that the resource was deleted."""
        found = self._ctx.store.vread(self._ctx.decide("vread", kind), kind, number, version)
        return found is not None and found.deleted
