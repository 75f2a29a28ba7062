"""What rows are let through in SQL and what is in memory: the same for anybody and any resource. docs/access.md"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.access import relations
from fhir_server.access.compartments import on_row
from fhir_server.access.policy import LETTERS, Access, decide
from fhir_server.access.principal import Principal
from fhir_server.access.roles import PSYCHOTHERAPY, RESTRICTED, ROLES
from fhir_server.access.scopes import parse
from fhir_server.r4 import json
from fhir_server.r4.compose import decompose
from fhir_server.search.constraints import resolver
from fhir_server.search.index import extract
from fhir_server.search.registry import STANDARD
from fhir_server.search.sql import SqlParameters
from fhir_server.store.care import Assignment, assign
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.reading import now
from fhir_server.store.resources import TYPE_IDS, Write
from fhir_server.store.restriction import Restriction
from fhir_server.store.store import Store

PEOPLE = (
    "Practitioner/d0",
    "Practitioner/d1",
    "PractitionerRole/r0",
    "RelatedPerson/k0",
    "Patient/p0",
    "Patient/p1",
    "",
)
ACCOUNTS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")
PATIENTS = tuple(f"Patient/p{number}" for number in range(4))
DOCTORS = PEOPLE[:4]
LABELS = (*PSYCHOTHERAPY[:2], *RESTRICTED, "urn:x|y", "|PSY")
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ABOUT = (
    "Observation", "Condition", "Task", "Communication", "Appointment", "Account", "Group", "Person", "Device",
    "Provenance", "Schedule", "Organization", "Patient", "Encounter", "CareTeam", "ServiceRequest", "Basic",
)  # fmt: skip
MASKING = sorted(role.name for role in ROLES.values() if any(grant.elements for grant in role.grants))
"""The roles that see something in part."""
CONSTRAINTS = ("?category=laboratory", f"?category={CATEGORY}|laboratory,vital-signs", "?subject=Patient/p1",
               "?patient=p0", "?code=c1", "?_security=PSY", "?_tag=t&code=c0", "?date=2020")  # fmt: skip


def references(chance: random.Random, among: tuple[str, ...], most: int = 2) -> list[dict[str, str]]:
    return [{"reference": one} for one in chance.sample(among, chance.randint(0, most))]


def resource(chance: random.Random, kind: str, number: int) -> dict[str, Any]:
    """Something of a type that is about some patients and names some people; it need not be valid."""
    system, _, code = chance.choice(LABELS).rpartition("|")
    label = {"code": code} | ({"system": system} if system else {})
    category = chance.choice(["laboratory", "vital-signs", "x"])
    coding = chance.choice([{"system": CATEGORY, "code": category}, {"code": category}])
    body: dict[str, Any] = {
        "resourceType": kind,
        "id": f"p{number}" if kind == "Patient" else f"{kind.lower()}-{number}",
        "meta": {"security": [label] if chance.random() < 0.4 else [], "tag": [{"code": chance.choice("tu")}]},
        "code": {"coding": [{"code": f"c{chance.randint(0, 2)}"}]},
        "category": [{"coding": [coding]}],
    }
    patients, people = references(chance, PATIENTS), references(chance, DOCTORS)
    one = {"subject": patients[0]} if patients else {}
    match kind:
        case "Observation" | "Condition" | "Basic":
            body |= one | {"performer": people}
        case "Task":
            body |= ({"for": patients[0]} if patients else {}) | ({"owner": people[0]} if people else {})
        case "Communication":
            body |= one | {"recipient": people}
        case "Appointment":
            actors = [{"actor": actor, "status": "accepted"} for actor in (*patients, *people)]
            body |= {"status": "booked", "participant": actors, "end": "2099-01-01T00:00:00Z"}
        case "Account":
            body["subject"] = patients
        case "Group":
            body["member"] = [{"entity": patient} for patient in patients]
        case "Person":
            body["link"] = [{"target": patient} for patient in patients]
        case "Device":
            body |= {"patient": patients[0]} if patients else {}
        case "Provenance":
            body["target"] = [*patients, *references(chance, ("Observation/observation-1", "Condition/condition-2"))]
        case "Schedule":
            body["actor"] = [*patients, *people]
        case "Patient":
            body["generalPractitioner"] = people
        case "Encounter":
            individuals = [{"individual": person} for person in people]
            body |= one | {"status": chance.choice(["planned", "cancelled"]), "participant": individuals}
        case "CareTeam":
            body |= one | {"status": "active", "participant": [{"member": person} for person in people]}
        case "ServiceRequest":
            body |= one | {"status": chance.choice(["active", "draft"]), "performer": people}
            body |= {"requester": people[0]} if people else {}
    return body


class World:
    """Resources in the tables, each with the index rows that it has there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[tuple[str, str, IndexRows]] = []
        chance = random.Random(7)
        role = {"resourceType": "PractitionerRole", "id": "r0", "practitioner": {"reference": "Practitioner/d1"}}
        self._write(role)
        for number in range(10):
            for kind in ABOUT:
                if kind != "Patient" or number < len(PATIENTS):
                    self._write(resource(chance, kind, number))
        for account, patient, kind in ((0, "p2", relations.ASSIGNMENT), (1, "p3", relations.MATTER)):
            until = now() + 10**12
            given_ = Assignment(f"User/{ACCOUNTS[account]}", patient, kind, 0, until, "M", "why", "User/x")
            store.within(lambda c, one=given_: assign(c, store.tenant_id, store.hasher, one))

    def _write(self, body: dict[str, Any]) -> None:
        rows = extract(body, self.store.hasher, STANDARD, full_text=False)
        kind, name = body["resourceType"], body["id"]
        if kind == "Patient":
            rows.patient = self.store.hasher.uncached(f"Patient/{name}")
        meta, rest = decompose(body)
        meta_json = json.dumps(meta) if meta is not None else None
        assert (
            self.store.put(Write(kind, name, "PUT", None, meta_json, json.dumps(rest), rows, None)).status == "created"
        )
        self.rows.append((kind, name, rows))


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def scopes() -> st.SearchStrategy[str]:
    kinds = st.sampled_from(("*", *ABOUT))
    one = st.builds(
        "{}/{}.{}{}".format,
        st.sampled_from(("user", "patient", "system")),
        kinds,
        st.sampled_from(("cruds", "rs", "r", "cu")),
        st.sampled_from(("", "", *CONSTRAINTS)),
    )
    return st.lists(one, min_size=1, max_size=3).map(" ".join)


principals = st.builds(
    lambda scope, roles, subject, person, patient: Principal("t", subject, "c", parse(scope), roles, person, patient),
    st.sampled_from(("user/*.cruds", "user/*.cruds patient/*.rs", "patient/*.cruds patient/Task.u", "system/*.cruds"))
    | st.sampled_from([f"user/Observation.rs{one} user/Condition.rs{one}" for one in CONSTRAINTS])
    | scopes(),
    st.lists(
        st.sampled_from(("physician", "patient", "staff", "attorney", "physician", *sorted(ROLES))),
        min_size=1,
        max_size=2,
    ).map(tuple)
    | st.lists(st.sampled_from(sorted(ROLES)), max_size=2, unique=True).map(tuple),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(PEOPLE),
    st.sampled_from(("", "p0", "p1", "p3")),
)


def let_through(world: World, access: Access, *, kept: bool) -> Iterator[tuple[str, str]]:
    """What SQL lets through."""
    sql = SqlParameters(world.store.tenant_id)
    kinds = sorted({kind for kind, _, _ in world.rows})
    let = Restriction(access, sql, world.store.hasher, now(), kept=kept).on(kinds)
    where = f" AND {let}" if let else ""
    asked = f"SELECT r.id FROM resource r WHERE r.tenant_id = {sql.tenant} AND NOT r.deleted{where}"  # noqa: S608
    result = world.store.search(asked, sql.values)
    found = {(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)}
    return ((kind, name) for kind, name, _ in world.rows if name in found)


@given(st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_halves_of_the_decision_agree(world: World, data: st.DataObject) -> None:
    principal = data.draw(principals)
    interaction = data.draw(st.sampled_from(("read", "search-type", "update", *LETTERS)))
    kind = data.draw(st.sampled_from((*[None] * 20, *ABOUT)))
    access = decide(principal, interaction, kind, resolver(world.store.hasher))
    facts = world.store.facts(access, [(of, rows) for of, _, rows in world.rows], every=False)
    allowed = {(of, name) for (of, name, _), known in zip(world.rows, facts, strict=True) if access.allows(known)}
    # There are no consents here: what is asked without them is shorter, and the same.
    kept = data.draw(st.booleans())
    assert set(let_through(world, access.without_consents(), kept=kept)) == allowed


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_mask_of_several_roles_lets_through_the_same_rows(world: World, data: st.DataObject) -> None:
    """What of a resource is shown is put together from the masks that let it through: docs/access.md, "Roles"."""
    roles = [*data.draw(st.lists(st.sampled_from(MASKING), min_size=1, max_size=3, unique=True)), "physician"]
    principal = replace(data.draw(principals), roles=tuple(roles), scopes=parse("user/*.cruds patient/*.rs"))
    access = decide(principal, "search-type", None, resolver(world.store.hasher)).without_consents().visible
    facts = world.store.facts(access, [(of, rows) for of, _, rows in world.rows], every=False)
    hidden = tuple((kind, mask) for kind in ABOUT for mask in access.masks(kind) if mask)
    masks = sorted({mask for kind in ABOUT for mask in access.masks(kind)})
    for part in (*map(access.shown_by, masks), access.leaving(hidden)):
        allowed = {(of, name) for (of, name, _), known in zip(world.rows, facts, strict=True) if part.allows(known)}
        assert set(let_through(world, part, kept=data.draw(st.booleans()))) == allowed
    for (kind, name, _), known in zip(world.rows, facts, strict=True):
        by = [mask for mask in access.masks(kind) if access.shown_by(mask).allows(known)]
        assert bool(by) == access.allows(known), (kind, name)
        # Without what is seen in part there is left what is seen whole.
        assert access.leaving(hidden).allows(known) == ("" in by), (kind, name)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_asked_of_a_patient_once_is_what_is_asked_of_each_row(world: World, data: st.DataObject) -> None:
    access = decide(data.draw(principals), "search-type", None, resolver(world.store.hasher)).without_consents()
    patient = data.draw(st.sampled_from(PATIENTS))
    kind = data.draw(st.sampled_from([kind for kind in ABOUT if on_row(kind)]))
    sql = SqlParameters(world.store.tenant_id)
    key = sql.bind(world.store.hasher.uncached(patient), "bigint")
    restriction = Restriction(access, sql, world.store.hasher, now())
    once, each = restriction.on([kind], key) or "true", restriction.on([kind]) or "true"
    rows = f"FROM resource r WHERE r.tenant_id = {sql.tenant} AND r.patient = {key} AND NOT r.deleted"
    of_type = f"AND r.type_id = {sql.bind(TYPE_IDS[kind], 'smallint')}"
    differing = f"SELECT r.id {rows} {of_type} AND ({once}) <> ({each})"
    assert world.store.search(differing, sql.values).ntuples == 0
