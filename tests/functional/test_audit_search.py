"""The audit trail served as AuditEvent. docs/audit.md, "Searching" """

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.crypto.hashing import Hasher
from fhir_server.settings import Settings
from fhir_server.store import directory
from tests.functional.conftest import Api

START = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z: the events of these tests are a second apart, from then on."""


@pytest.fixture
def clinic(api: Api) -> Callable[..., str]:
    """A function that puts one more event into the client's trail; answers the id of its AuditEvent."""
    tenant_id = directory.tenant_id(api.app.database, api.slug)
    numbers = itertools.count()

    def make(**fields: Any) -> str:
        number = next(numbers)
        at = fields.pop("at", START + number * 1_000_000)
        given: dict[str, Any] = {"id": events.new_id(at), "tenant_id": tenant_id, "at": at, "kind": "read"}
        api.app.trail.record(Event(**(given | fields)))
        api.app.trail.flush()
        return f"trail-{number + 1}"

    return make


def ids(api: Api, query: str) -> list[str]:
    answer = api.get(f"AuditEvent?{query}")
    assert answer.status == 200, answer.data
    return [entry["resource"]["id"] for entry in answer.json.get("entry", [])]


# What these searches record themselves happens now, long after.
BEFORE = "date=lt2024"


def test_a_record_is_read(api: Api, clinic: Callable[..., str]) -> None:
    clinic(resource_type="Observation", resource_id="o", subject="s", client_id="c")
    answer = api.get("AuditEvent/trail-1")
    assert answer.status == 200
    assert answer.json["entity"][0]["what"] == {"reference": "Observation/o"}
    assert answer.json["recorded"] == answer.json["meta"]["lastUpdated"] == "2023-11-14T22:13:20.000Z"
    assert api.get("AuditEvent/trail-1/_history/1").json == answer.json
    for missing in ("trail-99", "trail-0", f"trail-{2**63}", "trail-1/_history/2"):
        assert api.get(f"AuditEvent/{missing}").status == 404


def test_what_was_done_is_found_at_once(api: Api) -> None:
    api.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    api.app.trail.flush()
    (found,) = [entry["resource"] for entry in api.get("AuditEvent?patient=p").json["entry"]]
    assert (found["action"], found["entity"][0]["what"]["reference"]) == ("U", "Patient/p")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("patient=p", "123"), ("patient=Patient/p", "123"), ("patient:Patient=p", "123"), ("patient=q", "3"),
        ("patient={base}/Patient/p", "123"), ("patient=p&patient=q", "3"), ("patient=q,p", "123"), ("patient=x", ""),
        ("entity=Observation/o", "1"), ("entity=o", "1"), ("entity:Observation=o", "1"), ("entity=Basic/b", "4"),
        ("entity=Patient/p", "123"), ("entity=Observation/o&patient=p", "1"), ("entity=Observation/o&patient=q", ""),
        ("agent=Practitioner/1", "1"), ("agent=Practitioner/2", "2"), ("agent=Practitioner/1,Practitioner/2", "12"),
        ("agent:identifier=dr-one", ""), ("agent:identifier=nobody", "5"), ("agent:identifier=app", "123"),
        ("agent:identifier=|bulk", "4"),
        ("agent-name=ap", "123"), ("agent-name=AP", "123"), ("agent-name:exact=ap", ""),
        ("agent-name:exact=app", "123"),
        ("agent-name:contains=ul", "4"), ("agent-name=%25", ""), ("agent-name=app,bulk", "1234"),
        ("type=rest", "1234"), ("type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest", "1234"),
        ("type=110114", "5"), ("type:not=rest", "5"), ("type=http://x|rest", ""), ("type=|rest", ""),
        ("subtype=read", "1"), ("subtype=search-type", "3"), ("subtype=login", "5"), ("subtype=110122", "5"),
        ("subtype=http://hl7.org/fhir/restful-interaction|", "1234"), ("subtype:not=read,update", "345"),
        ("action=R", "1"), ("action=E", "35"), ("action=U,C", "24"), ("action:not=E", "124"),
        ("outcome=0", "1234"), ("outcome=4", "5"), ("outcome=4,0", "12345"), ("outcome:not=0", "5"), ("outcome=8", ""),
        ("date=2023", "12345"), ("date=2023-11-14T22:13:21Z", "2"), ("date=gt2023-11-14T22:13:22Z", "45"),
        ("date=ge2023-11-14T22:13:22Z", "345"), ("date=lt2023-11-14T22:13:22Z", "12"),
        ("date=le2023-11-14T22:13:22Z", "123"), ("date=sa2023-11-14T22:13:22Z", "45"),
        ("date=eb2023-11-14T22:13:22Z", "12"), ("date=ne2023-11-14T22:13:22Z", "1245"),
        ("date=ge2023-11-14T22:13:21Z&date=le2023-11-14T22:13:22Z", "23"),
        ("date=2023-11-14T22:13:20Z,2023-11-14T22:13:24Z", "15"), ("_lastUpdated=2023-11-14T22:13:21Z", "2"),
        ("_id=trail-2", "2"), ("_id=trail-2,trail-5,x", "25"), ("_id=x", ""),
        ("site=x", ""), ("_tag=x", ""), ("source=Device/x", ""), ("_has:Provenance:target:agent=Device/1", ""),
        ("patient=p&agent=Practitioner/1&action=R&outcome=0&subtype=read&type=rest&agent-name=app", "1"),
    ],
)  # fmt: skip
def test_each_parameter(api: Api, clinic: Callable[..., str], query: str, expected: str) -> None:
    app = {"client_id": "app"}
    clinic(resource_type="Observation", resource_id="o", patient_ids=("p",), fhir_user="Practitioner/1",
           subject="dr-one", **app)  # fmt: skip
    clinic(kind="update", resource_type="Patient", resource_id="p", fhir_user="Practitioner/2", **app)
    clinic(kind="search-type", patient_ids=("p", "q"), **app)
    clinic(kind="create", written=(("Basic", "b", 0, 1),), client_id="bulk")
    clinic(kind="login", outcome="4", subject="nobody")
    path = quote(query.replace("{base}", f"http://localhost:8080/t/{api.slug}/fhir"), safe="=&:/|,%-")
    found = ids(api, f"{path}&{BEFORE}")
    assert found == [f"trail-{number}" for number in reversed(expected)]
    assert ids(api, f"{path}&{BEFORE}&_sort=date") == found[::-1]
    assert api.get(f"AuditEvent?{path}&{BEFORE}&_summary=count").json["total"] == len(found)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("patient.name=x", "without a chain"), ("patient:missing=true", "patient"), ("agent-role=x", "agent-role=x"),
        ("entity-type=1", "entity-type"), ("address=10", "address"), ("_text=x", "_text"),
        ("site:missing=true", "site"),
        ("_filter=action eq R or action eq C", "_filter"), ("_sort=agent", "_sort=-date"),
        ("_sort=-date,agent", "_sort=-date"),
        ("_include=AuditEvent:entity", "cannot be included"), ("_contained=true&type=rest", "_contained"),
        ("outcome:missing=true", "outcome"), ("_id:not=trail-1", "_id"), ("entity:identifier=x", "entity"),
        ("colour=red", "colour"), ("date=soon", "date"),
    ],
)  # fmt: skip
def test_what_would_leave_records_out_is_refused(api: Api, query: str, said: str) -> None:
    answer = api.get(f"AuditEvent?{query}".replace(" ", "%20"))
    assert answer.status == 400, answer.data
    assert said in answer.json["issue"][0]["diagnostics"]


def stored(api: Api, name: str, recorded: str) -> None:
    """An AuditEvent that a client writes."""
    resource = {
        "resourceType": "AuditEvent", "id": name, "recorded": recorded, "agent": [{"requestor": False}],
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "source": {"observer": {"display": "x"}},
    }  # fmt: skip
    assert api.put(f"AuditEvent/{name}", resource).status == 201


@pytest.mark.parametrize("sort", ["", "_sort=-date", "_sort=date"])
@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_both_are_merged_by_their_time(api: Api, clinic: Callable[..., str], sort: str, count: int) -> None:
    for _ in range(4):
        clinic()
    stored(api, "before", "2023-11-14T22:13:19Z")
    stored(api, "between", "2023-11-14T22:13:21.500Z")
    stored(api, "same", "2023-11-14T22:13:22.000Z")
    stored(api, "after", "2023-11-14T22:13:30Z")
    answer = api.get(f"AuditEvent?{BEFORE}&_count={count}&{sort}")
    found, pages = [], 0
    while True:
        found += [entry["resource"]["id"] for entry in answer.json["entry"]]
        pages += 1
        following = [link["url"] for link in answer.json["link"] if link["relation"] == "next"]
        if not following:
            break
        answer = api.get(following[0].partition("/fhir/")[2])
        assert answer.status == 200, answer.data
    expected = ["after", "trail-4", {"trail-3", "same"}, "between", "trail-2", "trail-1", "before"]
    if sort == "_sort=date":
        expected.reverse()
    flat = [name for one in expected for name in (one if isinstance(one, set) else [one])]
    assert set(found) == set(flat)
    assert len(found) == len(flat) == 8
    place = found.index("same")
    assert {found[place - 1], found[place + 1]} & {"trail-3"}
    assert [name for name in found if name not in ("same", "trail-3")] == [n for n in expected if isinstance(n, str)]
    assert pages == -(-8 // count)


def test_the_total_is_of_both(api: Api, clinic: Callable[..., str]) -> None:
    for _ in range(3):
        clinic()
    stored(api, "one", "2023-11-14T22:13:19Z")
    assert api.get(f"AuditEvent?{BEFORE}&_total=accurate&_count=1").json["total"] == 4
    assert api.get(f"AuditEvent?{BEFORE}&_count=0").json["total"] == 4
    assert "total" not in api.get(f"AuditEvent?{BEFORE}&_count=1").json
    assert api.get(f"AuditEvent?{BEFORE}").json["total"] == 4


def test_what_clients_have_written_is_searched_by_the_rest(api: Api) -> None:
    stored(api, "one", "2023-11-14T22:13:19Z")
    assert ids(api, "site=x") == []
    assert api.get("AuditEvent/one").status == 200


def test_the_trail_cannot_be_written(api: Api, clinic: Callable[..., str]) -> None:
    clinic()
    resource = api.get("AuditEvent/trail-1").json
    assert api.put("AuditEvent/trail-1", resource).status == 400
    assert api.put("AuditEvent/trail-77", resource | {"id": "trail-77"}).status == 400
    assert api.delete("AuditEvent/trail-1").status == 400
    entry = {"resource": resource, "request": {"method": "PUT", "url": "AuditEvent/trail-1"}}
    assert api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).status == 400
    assert api.get("AuditEvent/trail-1").json == resource


def test_other_clinics_see_nothing_of_it(api: Api, clinic: Callable[..., str], new_api: Callable[..., Api]) -> None:
    clinic(patient_ids=("p",))
    other = new_api()
    assert ids(other, BEFORE) == []
    assert ids(other, f"patient=p&{BEFORE}") == []
    assert other.get("AuditEvent/trail-99").status == 404


def test_who_may_not_search_it_sees_nothing(new_api: Callable[..., Api]) -> None:
    api = new_api("system/Patient.cruds")
    assert api.get("AuditEvent").status == 403
    assert api.get("AuditEvent/trail-1").status == 403


def test_it_is_found_in_a_batch(api: Api, clinic: Callable[..., str]) -> None:
    clinic()
    entries = [{"request": {"method": "GET", "url": url}} for url in (f"AuditEvent?{BEFORE}", "AuditEvent/trail-1")]
    answer = api.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).json
    page, one = [entry["resource"] for entry in answer["entry"]]
    assert page["entry"][0]["resource"] == one


def test_a_page_of_a_long_trail_is_quick(api: Api, clinic: Callable[..., str]) -> None:
    tenant_id = directory.tenant_id(api.app.database, api.slug)
    assert tenant_id is not None
    for number in range(3000):
        at = START + number
        event = Event(id=events.new_id(at), tenant_id=tenant_id, at=at, kind="read", patient_ids=(str(number % 100),))
        api.app.trail.record(event)
    api.app.trail.flush()
    begun = time.perf_counter()
    assert len(ids(api, "patient=7&_count=20")) == 20
    assert time.perf_counter() - begun < 0.5


def person(api: Api, settings: Settings, role: str, fhir_user: str, scope: str, **claims: str) -> Api:
    """Somebody with a role at the client's clinic."""
    token = issue(
        keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=f"sub-{role}", client_id="portal",
        tenant=api.slug, scope=scope, lifetime=600, roles=[role], fhir_user=fhir_user, **claims,
    )  # fmt: skip
    return Api(api.app, api.slug, token)


SHARED = "GET Observation?patient=p,q"


@pytest.fixture
def shared_record(api: Api, clinic: Callable[..., str]) -> None:
    """Patients p and q, a record about p, one about both, one about q."""
    for name in "pq":
        api.put(f"Patient/{name}", {"resourceType": "Patient", "id": name})
    hasher = Hasher(directory.hash_key(api.app.database))
    p, q = hasher("Patient/p"), hasher("Patient/q")
    api.app.trail.flush()
    clinic(kind="read", resource_type="Observation", resource_id="of-p", patients=(p,), client_id="a")
    clinic(kind="search-type", query=SHARED, patients=(p, q), client_id="a", written=(("Basic", "of-q", 0, 1),))
    clinic(kind="read", resource_type="Observation", resource_id="of-q", patients=(q,), client_id="a")


@pytest.mark.usefixtures("shared_record")
def test_the_clinic_admin_sees_everything(api: Api, settings: Settings) -> None:
    admin = person(api, settings, "clinic_admin", "Practitioner/1", "user/*.rs")
    assert ids(admin, BEFORE) == ["trail-5", "trail-4", "trail-3"]
    answer = admin.get("Patient/q/$accounting-of-disclosures?end=2024")
    assert [entry["resource"]["id"] for entry in answer.json["entry"]] == ["trail-5", "trail-4"]


@pytest.mark.usefixtures("shared_record")
@pytest.mark.parametrize("scope", ["patient/*.rs", "user/*.rs"])
def test_patients_see_their_own_part(api: Api, settings: Settings, scope: str) -> None:
    patient = person(api, settings, "patient", "Patient/p", scope, patient="p")
    accounting = "Patient/p/$accounting-of-disclosures?end=2024"
    for found in (patient.get(f"AuditEvent?{BEFORE}"), patient.get(accounting)):
        entries = [entry["resource"] for entry in found.json["entry"]]
        assert [one["id"] for one in entries] == ["trail-4", "trail-3"]
        # Of the record about both nothing shows of the other, be it the text of the search.
        assert b"of-q" not in found.data
        assert b"Patient/q" not in found.data
        assert all("query" not in entity for one in entries for entity in one["entity"])
        assert found.json["total"] == 2
    assert patient.get("AuditEvent/trail-3").status == 200
    assert b"of-q" not in patient.get("AuditEvent/trail-4").data
    assert patient.get("AuditEvent/trail-5").status == 404
    # Nor can be asked what else a record is about.
    for query in ("patient=q", "entity=Basic/of-q", "patient=p,q", "entity=Patient/q", "patient=p&entity=Basic/of-q",
                  "_id=trail-5", "entity=Observation/of-q"):  # fmt: skip
        assert ids(patient, f"{query}&{BEFORE}") == []
    assert patient.get("Patient/q/$accounting-of-disclosures").status == 404


@pytest.mark.usefixtures("shared_record")
@pytest.mark.parametrize("role", ["physician", "staff", "billing", "attorney", "referring_doctor", "executive"])
def test_nobody_else_sees_any_of_it(api: Api, settings: Settings, role: str) -> None:
    other = person(api, settings, role, "Practitioner/1", "user/*.cruds")
    assert other.get("AuditEvent/trail-3").status in (403, 404)
    answer = other.get(f"AuditEvent?{BEFORE}")
    assert answer.status == 403 or not answer.json.get("entry")
    assert other.get("Patient/p/$accounting-of-disclosures").status == 403


@pytest.mark.usefixtures("shared_record")
def test_a_scope_narrows_the_trail_as_well(api: Api, settings: Settings) -> None:
    narrow = person(api, settings, "clinic_admin", "Practitioner/1", "user/AuditEvent.rs?action=R")
    assert ids(narrow, BEFORE) == []
    launched = person(api, settings, "clinic_admin", "Practitioner/1", "patient/AuditEvent.rs", patient="p")
    assert ids(launched, BEFORE) == ["trail-4", "trail-3"]


def test_the_accounting_has_pages_and_a_period(api: Api, clinic: Callable[..., str]) -> None:
    for _ in range(5):
        clinic(patient_ids=("p",))
    clinic(patient_ids=("q",))
    base = "Patient/p/$accounting-of-disclosures"
    answer = api.get(f"{base}?start=2023-11-14T22:13:21Z&end=2023-11-14T22:13:23Z&_count=2")
    assert [entry["resource"]["id"] for entry in answer.json["entry"]] == ["trail-4", "trail-3"]
    (following,) = [link["url"] for link in answer.json["link"] if link["relation"] == "next"]
    later = api.get(following.partition("/fhir/")[2])
    assert [entry["resource"]["id"] for entry in later.json["entry"]] == ["trail-2"]
    # Who refused to tell is told as well: the accounting is one of the patient's records itself.
    api.app.trail.flush()
    assert ids(api, "patient=p&action=E")[-1:] == ["trail-7"]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "end", "valueDate": "2023"}]}
    assert api.post(base, parameters).json["total"] == 5


@pytest.mark.parametrize("query", ["start=soon", "colour=red", "start=2023&start=2024", "_cursor=x", "patient=q"])
def test_what_the_accounting_cannot_do_is_refused(api: Api, query: str) -> None:
    assert api.get(f"Patient/p/$accounting-of-disclosures?{query}").status == 400


@pytest.mark.usefixtures("shared_record")
def test_the_accounting_needs_no_scope_on_audit_events(api: Api, settings: Settings) -> None:
    patient = person(api, settings, "patient", "Patient/p", "patient/Patient.r", patient="p")
    answer = patient.get("Patient/p/$accounting-of-disclosures?end=2024&_count=1")
    assert [entry["resource"]["id"] for entry in answer.json["entry"]] == ["trail-4"]
    (following,) = [link["url"] for link in answer.json["link"] if link["relation"] == "next"]
    later = patient.get(following.partition("/fhir/")[2])
    assert [entry["resource"]["id"] for entry in later.json["entry"]] == ["trail-3"]
    assert patient.get("AuditEvent").status == 403
