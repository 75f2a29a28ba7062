"""A clinic that messages are delivered to, with a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import psycopg

from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.r4 import json
from fhir_server.store import hl7_lineage, hl7_messages
from fhir_server.store.history import Page, Scope
from fhir_server.store.hl7_messages import Incoming
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.draft import DRAFT, Conversion, Draft, Merge, Said, Stated
from hl7_gateway.deliver import Delivered, Desk, Work, deliver_all
from hl7_gateway.problems import Place, Refused

_numbers = itertools.count(1)

BASE = "http://localhost/t/clinic/fhir"

AUTHORITY = "urn:oid:1.2.3"


def said(path: str, slot: str, *values: Any, initial: bool = False) -> Stated:
    """A statement whose values stand in the field that the slot is named after."""
    segment, _, rest = slot.partition("-")
    place = Place(segment[:3], 1, int("".join(filter(str.isdigit, rest.split("#")[0])) or 0))
    return Stated(path, slot, tuple(Said(value, {"": place}) for value in values), initial)


def patient(number: str, *stated: Stated, name: str = "Patient#1", more: Sequence[str] = (), **options: Any) -> Draft:
    """A patient of the authority."""
    numbers = [number, *more]
    identifiers = [{"system": AUTHORITY, "value": one} for one in numbers]
    return Draft(
        name,
        "Patient",
        [(AUTHORITY, one) for one in numbers],
        stated=[said("identifier", "PID-3", *identifiers), said("active", "PID#active", True, initial=True), *stated],
        **options,
    )


def encounter(number: str, *stated: Stated, status: str = "in-progress", **options: Any) -> Draft:
    """A visit of the message's first patient."""
    return Draft(
        "Encounter#1",
        "Encounter",
        [(AUTHORITY + ".9", number)],
        stated=[
            said("identifier", "PV1-19", {"system": AUTHORITY + ".9", "value": number}),
            said("status", "PV1#status", status),
            said("class", "PV1-2", {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}),
            said("subject", "PID-3#subject", {"reference": DRAFT + "Patient#1"}),
            *stated,
        ],
        **options,
    )


def practitioner(number: str, family: str = "Kim", *, name: str = "Practitioner#1", **options: Any) -> Draft:
    """Somebody who is mentioned."""
    identifier = {"system": "http://hl7.org/fhir/sid/us-npi", "value": number}
    stated = [said("identifier", "PV1-7", identifier), said("name", "PV1-7", {"family": family})]
    options.setdefault("stub", True)
    return Draft(name, "Practitioner", [(identifier["system"], number)], stated=stated, **options)


@dataclass
class Hospital:
    """A tenant, and what messages do to it."""

    store: Store
    desk: Desk
    before_commit: Callable[[], None] = field(default=lambda: None)

    def kept(self, raw: bytes = b"MSH|") -> int:
        """A message that was kept and waits; its number."""
        number = next(_numbers)
        known = sha256(b"%d" % number).digest()
        one = Incoming(7, f"C{number}", "ADT", "A01", "ADT_A01", "A", "B", known, raw, b"AA", (number,))
        return self.store.within(lambda c: hl7_messages.keep(c, self.store.tenant_id, [one], 5))[0].id

    def work(self, *drafts: Draft, merges: Sequence[Merge] = (), refused: Refused | None = None) -> Work:
        """A message that says this, kept and waiting."""
        content = Conversion(list(drafts), list(merges))
        return Work(self.kept(), "lab", refused or content, sender="LAB, General Hospital", version="m1")

    def run(self, *many: Work) -> list[Delivered]:
        """Deliver messages in one transaction."""

        def work(inner: Store) -> list[Delivered]:
            found = deliver_all(self.desk, inner, many)
            self.before_commit()
            return found

        return self.store.transaction(work)

    def hear(self, *drafts: Draft, merges: Sequence[Merge] = ()) -> Delivered:
        """Deliver one message, which must succeed."""
        (found,) = self.run(self.work(*drafts, merges=merges))
        assert found.problem is None, found.problem
        return found

    def read(self, path: str) -> dict[str, Any]:
        """A resource without its id and meta."""
        resource_type, _, resource_id = path.partition("/")
        stored = self.store.read(EVERYTHING, resource_type, resource_id)
        assert stored is not None
        assert stored.body is not None
        return dict(json.parse(stored.body))

    def version(self, path: str) -> int:
        """The current version of a resource, 0 for none, less than 0 where it is deleted."""
        resource_type, _, resource_id = path.partition("/")
        stored = self.store.read(EVERYTHING, resource_type, resource_id)
        return 0 if stored is None else -stored.version if stored.deleted else stored.version

    def all(self, resource_type: str) -> list[dict[str, Any]]:
        """Every resource of a type."""
        scope, page = Scope(resource_type=resource_type), Page(count=1000)
        found = self.store.history(EVERYTHING, scope, page)
        ids = dict.fromkeys(version.stored.id for version in found)
        return [self.read(f"{resource_type}/{one}") for one in ids if self.version(f"{resource_type}/{one}") > 0]

    def lineage(self, path: str) -> dict[str, Any]:
        """What the elements of a resource go back to."""
        key = self.store.hasher.uncached(path)
        found = self.store.within(lambda c: hl7_lineage.load(c, self.store.tenant_id, [key]))
        return dict(json.parse(found.get(key, b"{}")))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query of this tenant's rows finds."""

        def work(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(sql.encode()).fetchall()

        return self.store.within(work)


def hospital_of(database: Database, tenant: Tenant) -> Hospital:
    """A tenant as a hospital."""
    store = Store(database, Hasher(b"a key for tests of deliveries"), tenant.id)
    return Hospital(store, Desk(Clinic(tenant.id, "clinic"), BASE))
