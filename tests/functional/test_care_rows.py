"""Whatever is written and however: relations and rules are those of the resources that there are. docs/care.md"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fhir_server.access.consents import ACT_CODE, RESOURCE_TYPES, SCOPE
from fhir_server.bulk import reindexing
from fhir_server.bulk.reindexing import relative_to_all
from fhir_server.bulk.session import Session
from fhir_server.bulk.work import Settled
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json as r4_json
from fhir_server.search.index import extract
from fhir_server.settings import Settings
from fhir_server.store import directory
from fhir_server.store import reindexing as rows_of_store
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.store import Store
from tests.functional.conftest import Api
from tests.unit.bulk.loading import load_bundle, load_lines

Resource = dict[str, Any]

CARE = "SELECT person, patient, source, low, high, kind FROM care_relation WHERE source > 0"
RULES = """SELECT patient, source, number, depth, permit, low, high, data_low, data_high, types, tokens, labels, actors,
                  resources FROM consent_rule"""

names = st.sampled_from(["a", "b"])
people = st.sampled_from(["Practitioner/d", "Practitioner/e", "PractitionerRole/r", "BASE/Practitioner/d"])
practitioners = st.lists(people.map(lambda one: {"reference": one}), max_size=3)
patients = st.sampled_from(["Patient/p", "Patient/q"]).map(lambda one: {"reference": one})
dates = st.sampled_from(["2020-01-01", "2023", "2024-05-01T10:00:00Z", "2031-02"])
CODE = {"coding": [{"code": "x"}]}


def of_type(resource_type: str, **elements: Any) -> dict[str, Any]:
    """Without the elements that are empty: JSON has none such in FHIR."""
    return {"resourceType": resource_type, **{name: one for name, one in elements.items() if one}}


def patient(name: str, found: list[Any]) -> Resource:
    return of_type("Patient", id=name, generalPractitioner=found)


def care_team(name: str, status: str, subject: Any, found: list[Any], end: str) -> Resource:
    participant = [{"member": one, "period": {"start": "2020-01-01", "end": end}} for one in found]
    return of_type("CareTeam", id=name, status=status, subject=subject, participant=participant)


def encounter(name: str, status: str, subject: Any, found: list[Any], end: str) -> Resource:
    participant = [{"individual": one} for one in found]
    period = {"start": "2019-12-31", "end": end}
    kind = {"system": ACT_CODE, "code": "AMB"}
    return of_type(
        "Encounter", id=name, status=status, subject=subject, participant=participant, period=period, **{"class": kind}
    )


def appointment(name: str, status: str, subject: Any, found: list[Any]) -> Resource:
    participant = [{"actor": one, "status": "accepted"} for one in (subject, *found)]
    times = {"start": "2024-01-01T10:00:00Z", "end": "2024-01-01T11:00:00Z"}
    return of_type("Appointment", id=name, status=status, participant=participant, **times)


def service_request(name: str, status: str, subject: Any, found: list[Any], requester: str) -> Resource:
    asked = {"requester": {"reference": requester}, "performer": found, "authoredOn": "2024-01-01"}
    return of_type("ServiceRequest", id=name, status=status, intent="order", subject=subject, **asked)


def consent(name: str, status: str, subject: Any, provision: Any) -> Resource:
    scope, policy = {"system": SCOPE[0], "code": SCOPE[1]}, {"system": ACT_CODE, "code": "OPTOUT"}
    return of_type(
        "Consent", id=name, status=status, scope={"coding": [scope]}, category=[CODE], patient=subject,
        policyRule={"coding": [policy]}, provision=provision,
    )  # fmt: skip


def observation(name: str, subject: Any) -> Resource:
    return of_type("Observation", id=name, status="final", code=CODE, subject=subject)


conditions = {
    "period": st.just({"end": "2030"}),
    "class": st.just([{"system": RESOURCE_TYPES, "code": "Observation"}]),
    "code": st.just([{"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}]),
    "securityLabel": st.just([{"system": "urn:s", "code": "PSY"}]),
    "actor": people.map(lambda one: [{"role": {"coding": [{"code": "IRCP"}]}, "reference": {"reference": one}}]),
}
provisions = st.recursive(
    st.fixed_dictionaries({"type": st.sampled_from(["deny", "permit"])}, optional=conditions),
    lambda inner: st.builds(lambda outer, found: {**outer, "provision": found}, inner, st.lists(inner, min_size=1)),
    max_leaves=4,
)
resources = st.one_of(
    st.builds(patient, st.sampled_from("pq"), practitioners),
    st.builds(care_team, names, st.sampled_from(["active", "inactive"]), patients, practitioners, dates),
    st.builds(
        encounter, names, st.sampled_from(["planned", "in-progress", "finished", "cancelled"]), patients, practitioners,
        dates,
    ),
    st.builds(appointment, names, st.sampled_from(["booked", "noshow"]), patients, practitioners),
    st.builds(
        service_request, names, st.sampled_from(["active", "completed", "revoked"]), patients, practitioners, people
    ),
    st.builds(consent, names, st.sampled_from(["active", "inactive"]), patients, provisions),
    st.builds(observation, names, patients),
)  # fmt: skip
several = st.lists(resources, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.sampled_from(["put", "post", "load-lines", "load-again"]), resources),
    st.tuples(st.sampled_from(["transaction", "batch", "transaction-post", "load-bundle"]), several),
    st.tuples(st.sampled_from(["delete", "delete-in-transaction", "patch", "reindex"]), resources),
)


class Clinic:
    """One clinic: everything that can be done with it, and what its tables have to hold."""

    def __init__(self, api: Api, database: DatabaseUrls, settings: Settings) -> None:
        self.api = api
        tenant_id = directory.tenant_id(api.app.database, api.slug)
        assert tenant_id is not None
        self.tenant_id = tenant_id
        self.hasher = Hasher(directory.hash_key(api.app.database))
        self.base = f"{settings.public_url}/t/{api.slug}/fhir"
        self.store = Store(api.app.database, self.hasher, tenant_id)
        settled = Settled(database.app, tenant_id, api.slug, self.base, 1 << 20, True)
        self.session = Session(settled, api.app.database, self.hasher)
        self.relative = relative_to_all((self.base,))

    def put_there(self, resource: Resource) -> Resource:
        """The resource with the server's own base for BASE."""
        found: Resource = json.loads(json.dumps(resource).replace("BASE/", f"{self.base}/"))
        return found

    def do(self, what: str, given: Any) -> None:
        if isinstance(given, list):
            unique = {(one["resourceType"], one["id"]): self.put_there(one) for one in given}
            self._bundle(what, list(unique.values()))
            return
        resource = self.put_there(given)
        name = f"{resource['resourceType']}/{resource['id']}"
        match what:
            case "put":
                assert self.api.put(name, resource).status in (200, 201)
            case "post":
                assert self.api.post(resource["resourceType"], resource).status == 201
            case "load-lines" | "load-again":
                outcome = load_lines(self.session, resource, *([resource] if what == "load-again" else []))
                assert outcome.failures == []
            case "delete":
                assert self.api.delete(name).status in (200, 204)
            case "delete-in-transaction":
                self._transaction("transaction", [{"request": {"method": "DELETE", "url": name}}])
            case "patch":
                change = [{"op": "add", "path": "/language", "value": "de"}]
                answer = self.api.patch(name, change, Content_Type="application/json-patch+json")
                assert answer.status in (200, 404, 410)
            case "reindex":
                self.api.post(f"{name}/$reindex")

    def _bundle(self, what: str, found: list[Resource]) -> None:
        if what == "transaction-post":
            entries = [{"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in found]
        else:
            entries = [
                {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
                for one in found
            ]
        if what == "load-bundle":
            document = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            assert load_bundle(self.session, document).failures == []
        else:
            self._transaction("batch" if what == "batch" else "transaction", entries)

    def _transaction(self, kind: str, entries: list[dict[str, Any]]) -> None:
        answer = self.api.post("", {"resourceType": "Bundle", "type": kind, "entry": entries})
        assert answer.status == 200, answer.json
        assert {entry["response"]["status"][:3] for entry in answer.json["entry"]} <= {"200", "201", "204"}

    def rows(self) -> tuple[set[Any], set[Any]]:
        """What the tables hold."""
        return self.store.within(lambda c: (_rows(c, CARE), _rows(c, RULES)))

    def expected(self) -> tuple[set[Any], set[Any]]:
        """What a pass over every current resource finds."""
        relations: set[Any] = set()
        rules: set[Any] = set()
        for kind in ("Appointment", "CareTeam", "Consent", "Encounter", "Patient", "ServiceRequest", "Observation"):
            for row in self.store.within(lambda c, kind=kind: rows_of_store.batch(c, self.tenant_id, kind, 0, 10_000)):  # type: ignore[misc]
                index = extract(self.relative(row.resource), self.hasher)
                own = self.hasher.uncached(f"{kind}/{row.id}")
                for person, patient, care, low, high in index.care or ():
                    relations.add((person, own if patient is None else patient, row.rid, low, high, care))
                for number, (patient, rule) in enumerate(index.consents or ()):
                    lists = (rule.types, rule.tokens, rule.labels, rule.actors, rule.resources)
                    rules.add(
                        (
                            patient, row.rid, number, rule.depth, rule.permit, rule.low, rule.high, rule.data_low,
                            rule.data_high, *(None if one is None else tuple(sorted(one)) for one in lists),
                        )
                    )  # fmt: skip
        return relations, rules


def _rows(connection: psycopg.Connection, statement: str) -> set[Any]:
    found = connection.execute(statement.encode()).fetchall()
    unique = {tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in found}
    assert len(unique) == len(found)
    return unique


@pytest.fixture
def clinic(api: Api, database: DatabaseUrls, settings: Settings) -> Clinic:
    """A clinic with the practitioners that others refer to."""
    made = Clinic(api, database, settings)
    for name in ("Practitioner/d", "Practitioner/e", "PractitionerRole/r", "Organization/o", "Patient/p", "Patient/q"):
        resource_type, _, resource_id = name.partition("/")
        more = {"name": "O"} if resource_type == "Organization" else {}
        assert api.put(name, {"resourceType": resource_type, "id": resource_id, **more}).status == 201
    return made


@given(done=st.lists(steps, min_size=1, max_size=6))
@examples(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_sequence_of_writes(clinic: Clinic, done: list[tuple[str, Any]]) -> None:
    for what, given_resources in done:
        clinic.do(what, given_resources)
        held, due = clinic.rows(), clinic.expected()
        for have, want in zip(held, due, strict=True):
            assert (have - want, want - have) == (set(), set()), what


def test_an_update_that_changes_nothing_of_it_writes_nothing(clinic: Clinic) -> None:
    team = care_team("a", "active", {"reference": "Patient/p"}, [{"reference": "Practitioner/d"}], "2031")
    places = "SELECT ctid::text, xmin::text, person FROM care_relation"
    clinic.api.put("CareTeam/a", team)
    before = clinic.store.within(lambda c: _rows(c, places))
    assert len(before) == 1
    clinic.api.put("CareTeam/a", team | {"name": "Renamed"})
    assert clinic.store.within(lambda c: _rows(c, places)) == before
    clinic.api.put("CareTeam/a", team | {"status": "inactive"})
    assert clinic.store.within(lambda c: _rows(c, places)) == set()


def test_a_transaction_that_fails_leaves_nothing(clinic: Clinic) -> None:
    new = of_type("Patient", generalPractitioner=[{"reference": "Practitioner/d"}])
    entries = [
        {"resource": new, "request": {"method": "POST", "url": "Patient"}},
        {
            "resource": {"resourceType": "Basic", "id": "b", "code": CODE},
            "request": {"method": "PUT", "url": "Basic/b", "ifMatch": 'W/"7"'},
        },
    ]
    answer = clinic.api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 412
    assert clinic.rows() == (set(), set())


def test_writers_and_reindexing_at_the_same_time_agree_in_the_end(clinic: Clinic) -> None:
    doctors = ("Practitioner/d", "Practitioner/e", "PractitionerRole/r")

    def write(number: int) -> int:
        found = [{"reference": doctors[(number + n) % 3]} for n in range(number % 3)]
        if number % 5 == 4:
            return clinic.api.post("Patient/p/$reindex").status
        return clinic.api.put("Patient/p", patient("p", found)).status

    with ThreadPoolExecutor(6) as threads:
        statuses = set(threads.map(write, range(40)))
    assert statuses <= {200, 201}
    assert clinic.rows() == clinic.expected()


def test_what_an_older_version_has_stored_is_made_up_for(clinic: Clinic) -> None:
    team = care_team("a", "active", {"reference": "Patient/p"}, [{"reference": "Practitioner/d"}], "2031")
    clinic.api.put("CareTeam/a", team)
    clinic.store.within(lambda c: c.execute("DELETE FROM care_relation"))
    (row,) = clinic.store.within(lambda c: rows_of_store.batch(c, clinic.tenant_id, "CareTeam", 0, 9))
    assert reindexing.reindex_one(clinic.store, row, clinic.relative) == "reindexed"
    assert clinic.rows() == clinic.expected()
    assert len(clinic.rows()[0]) == 1


def test_the_official_examples(clinic: Clinic, shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "fhir-r4/examples.zip") as archive:
        examples = [r4_json.parse(archive.read(name)) for name in archive.namelist() if name.endswith(".json")]
    wanted = {"Appointment", "CareTeam", "Consent", "Encounter", "Patient", "ServiceRequest"}
    chosen = [one for one in examples if isinstance(one, dict) and one.get("resourceType") in wanted]
    assert {one["resourceType"] for one in chosen} == wanted
    outcome = load_lines(clinic.session, *(r4_json.dumps(one) for one in chosen))
    assert outcome.loaded > len(chosen) / 2
    relations, rules = clinic.rows()
    assert (relations, rules) == clinic.expected()
    assert {kind for *_, kind in relations} >= {1, 3, 4, 5, 6}
    assert len(rules) >= 4


@pytest.mark.parametrize("depth", [20, 60, 120, 400, 3_000])
def test_provisions_inside_of_provisions(clinic: Clinic, depth: int) -> None:
    nested = b'{"type":"deny","provision":[' * depth + b'{"type":"permit"}' + b"]}" * depth
    body = r4_json.dumps(consent("a", "active", {"reference": "Patient/p"}, {"type": "deny", "language": "x"}))
    answer = clinic.api.put("Consent/a", body.replace(b'{"type":"deny","language":"x"}', nested))
    assert answer.status == 201 if depth < 50 else answer.status in (201, 400, 413, 422)
    if answer.status == 201:
        assert len(clinic.rows()[1]) == depth + 2


def test_a_consent_without_end_is_refused(new_api: Callable[..., Api]) -> None:
    api = new_api()
    codings = [{"coding": [{"code": str(number)}]} for number in range(1_000)]
    endless = consent("a", "active", {"reference": "Patient/p"}, {"type": "deny", "code": codings})
    answer = api.post("Consent", endless)
    assert (answer.status, answer.json["issue"][0]["code"]) == (413, "too-costly")
