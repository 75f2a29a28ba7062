"""$everything against sets computed from the resources themselves: page by page, while others write, across tenants."""

from __future__ import annotations

import bz2
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.r4 import definitions
from tests.functional.conftest import Api
from tests.functional.test_query_counts import RoundTrips, count

__all__ = ["count"]

Resource = dict[str, Any]
Names = set[str]


def name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def texts(value: Any) -> Iterator[str]:
    """Every text under the name "reference", however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str):
                yield inner
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


# The elements that the parameters of the CompartmentDefinition read, written out for the types that occur here.
ELEMENTS = {
    "Patient": {
        "AllergyIntolerance": "patient recorder asserter", "Appointment": "participant.actor", "CarePlan": "subject",
        "CareTeam": "subject participant.member", "Claim": "patient payee.party", "Condition": "subject asserter",
        "Device": "patient", "DiagnosticReport": "subject", "DocumentReference": "subject author",
        "Encounter": "subject",
        "ExplanationOfBenefit": "patient payee.party", "Flag": "subject", "ImagingStudy": "subject",
        "Immunization": "patient", "List": "subject source", "MedicationAdministration": "subject performer.actor",
        "MedicationRequest": "subject", "Observation": "subject performer", "Patient": "link.other",
        "Procedure": "subject performer.actor", "Provenance": "target", "RelatedPerson": "patient",
        "Group": "member.entity", "SupplyDelivery": "patient",
    },
    "Encounter": {
        "CarePlan": "encounter", "CareTeam": "encounter", "Claim": "item.encounter", "Condition": "encounter",
        "DiagnosticReport": "encounter", "DocumentReference": "context.encounter",
        "ExplanationOfBenefit": "item.encounter", "MedicationAdministration": "context",
        "MedicationRequest": "encounter", "Observation": "encounter", "Procedure": "encounter",
    },
}  # fmt: skip


def at(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for inner in value:
            yield from at(inner, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from at(value[path[0]], path[1:])


def compartment(resources: dict[str, Resource], focus: str) -> Names:
    elements = ELEMENTS[focus.partition("/")[0]]
    return {
        key
        for key, resource in resources.items()
        for path in elements.get(resource["resourceType"], "").split()
        for reference in at(resource, path.split("."))
        if reference.get("reference") == focus
    } - {focus}


def referred(resources: dict[str, Resource], members: Names, focus: str) -> Names:
    found = {text for key in members | {focus} for text in texts(resources[key])}
    return (found & resources.keys()) - members - {focus}


def follow(api: Api, path: str) -> Iterator[dict[str, Any]]:
    while path:
        answer = api.get(path)
        assert answer.status == 200, answer.data
        yield answer.json
        links = {link["relation"]: link["url"] for link in answer.json["link"]}
        path = links.get("next", "").partition("/fhir/")[2]


def everything(api: Api, path: str) -> list[tuple[str, str]]:
    """The names and modes of all entries on all pages, in order."""
    return [
        (name(entry["resource"]), entry["search"]["mode"])
        for page in follow(api, path)
        for entry in page.get("entry", ())
    ]


def check(api: Api, resources: dict[str, Resource], focus: str, size: int) -> int:
    found = everything(api, f"{focus}/$everything?_count={size}")
    members = compartment(resources, focus)
    outside = referred(resources, members, focus)
    names = [key for key, _ in found]
    assert len(names) == len(set(names))
    assert names[0] == focus
    assert {key for key, mode in found if mode == "match"} == members | {focus}
    assert {key for key, mode in found if mode == "include"} == outside
    return len(found)


def reference(key: str) -> dict[str, str]:
    return {"reference": key}


def code(text: str) -> dict[str, str]:
    return {"text": text}


CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ACTIVE = {"clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]}}

WORLD: list[Resource] = [
    {"resourceType": "Organization", "id": "org", "name": "Clinic"},
    {"resourceType": "Organization", "id": "payer", "name": "Payer"},
    {"resourceType": "Organization", "id": "unused", "name": "Elsewhere"},
    {"resourceType": "Practitioner", "id": "doc"},
    {"resourceType": "Practitioner", "id": "before"},
    {"resourceType": "Location", "id": "ward", "managingOrganization": reference("Organization/unused")},
    {"resourceType": "Medication", "id": "med"},
    {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "aGVsbG8="},
    {"resourceType": "Patient", "id": "p", "managingOrganization": reference("Organization/org")},
    {"resourceType": "Patient", "id": "q", "link": [{"other": reference("Patient/p"), "type": "seealso"}]},
    {"resourceType": "RelatedPerson", "id": "rel", "patient": reference("Patient/p")},
    {
        "resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"},
        "subject": reference("Patient/p"), "period": {"start": "2020-01-01", "end": "2020-01-03"},
        # No search parameter reads this reference.
        "hospitalization": {"origin": reference("Location/ward")},
    },
    {
        "resourceType": "Encounter", "id": "e2", "status": "finished", "class": {"code": "AMB"},
        "subject": reference("Patient/p"), "period": {"start": "2022-01-01", "end": "2022-01-03"},
        "participant": [{"individual": reference("Practitioner/before")}],
    },
    {
        "resourceType": "Observation", "id": "o1", "status": "final", "code": code("weight"),
        "subject": reference("Patient/p"), "encounter": reference("Encounter/e1"),
        "effectiveDateTime": "2020-01-02", "performer": [reference("Practitioner/doc")],
    },
    {
        "resourceType": "Observation", "id": "o2", "status": "final", "code": code("home"),
        "subject": reference("Patient/q"), "performer": [reference("Patient/p"), reference("Patient/p")],
        "effectiveDateTime": "2021-06-01",
    },
    {"resourceType": "Observation", "id": "o3", "status": "final", "code": code("q"), "subject": reference("Patient/q")
    },
    {"resourceType": "AllergyIntolerance", "id": "a1", "patient": reference("Patient/p"), **ACTIVE},
    {
        "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
        "subject": reference("Patient/p"), "medicationReference": reference("Medication/med"),
        "authoredOn": "2022-01-02", "encounter": reference("Encounter/e2"),
    },
    {
        "resourceType": "DocumentReference", "id": "d1", "status": "current", "subject": reference("Patient/p"),
        "content": [{"attachment": {"url": "Binary/scan"}}],
    },
    {
        "resourceType": "Group", "id": "g", "type": "person", "actual": True,
        "member": [{"entity": reference("Patient/p")}, {"entity": reference("Patient/q")}],
    },
    {"resourceType": "Coverage", "id": "cov", "status": "active", "beneficiary": reference("Patient/q"),
     "payor": [reference("Organization/payer")]},
]  # fmt: skip


def store(api: Api, resources: list[Resource]) -> None:
    entries = [{"resource": r, "request": {"method": "PUT", "url": name(r)}} for r in resources]
    answer = api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.data


@pytest.fixture
def world(api: Api) -> dict[str, Resource]:
    store(api, WORLD)
    return {name(resource): resource for resource in WORLD}


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_everything_once_whatever_the_size_of_pages(api: Api, world: dict[str, Resource], size: int) -> None:
    binary = {"Binary/scan"}
    found = everything(api, f"Patient/p/$everything?_count={size}")
    members = compartment(world, "Patient/p")
    assert members == {
        "Patient/q", "RelatedPerson/rel", "Encounter/e1", "Encounter/e2", "Observation/o1", "Observation/o2",
        "AllergyIntolerance/a1", "MedicationRequest/m1", "DocumentReference/d1", "Group/g",
    }  # fmt: skip
    outside = referred(world, members, "Patient/p") | binary
    assert outside == binary | {
        "Organization/org", "Practitioner/doc", "Practitioner/before", "Location/ward", "Medication/med",
    }  # fmt: skip
    assert found[0][0] == "Patient/p"
    assert sorted(found) == sorted(
        [(key, "match") for key in members | {"Patient/p"}] + [(key, "include") for key in outside]
    )


def test_of_an_encounter(api: Api, world: dict[str, Resource]) -> None:
    for size in (1, 100):
        found = everything(api, f"Encounter/e1/$everything?_count={size}")
        assert found[:2] == [("Encounter/e1", "match"), ("Observation/o1", "match")]
        assert sorted(found[2:]) == [(n, "include") for n in ("Location/ward", "Patient/p", "Practitioner/doc")]
    assert api.get("Encounter/e1/$everything?start=2020").status == 400


def test_one_page_tells_the_total(api: Api, world: dict[str, Resource]) -> None:
    whole = api.get("Patient/p/$everything").json
    assert whole["total"] == len(whole["entry"]) == 17
    assert [link["relation"] for link in whole["link"]] == ["self"]
    first = api.get("Patient/p/$everything?_count=5").json
    assert "total" not in first
    assert len(first["entry"]) == 5
    assert all(entry["fullUrl"].endswith("/fhir/" + name(entry["resource"])) for entry in whole["entry"])


def names(api: Api, query: str) -> Names:
    return {key for key, _ in everything(api, f"Patient/p/$everything?{query}&_count=3")}


def test_clinical_dates(api: Api, world: dict[str, Resource]) -> None:
    """What has no date belongs to every time; what out of date resources refer to goes with them."""
    undated = {
        "Patient/p",
        "Patient/q",
        "RelatedPerson/rel",
        "AllergyIntolerance/a1",
        "DocumentReference/d1",
        "Group/g",
    }
    undated |= {"Organization/org", "Binary/scan"}
    first = {"Encounter/e1", "Observation/o1", "Practitioner/doc", "Location/ward"}
    last = {"Encounter/e2", "MedicationRequest/m1", "Medication/med", "Practitioner/before"}
    assert names(api, "end=2020") == undated | first
    assert names(api, "start=2020-01-03&end=2020-01-03") == undated | {"Encounter/e1", "Location/ward"}
    assert names(api, "start=2022") == undated | last
    assert names(api, "start=2021&end=2021") == undated | {"Observation/o2"}


def test_types_and_since(api: Api, world: dict[str, Resource]) -> None:
    assert names(api, "_type=Observation,Organization") == {"Observation/o1", "Observation/o2", "Organization/org"}
    assert names(api, "_type=Observation&_type=Patient") == names(api, "_type=Patient,Observation")
    changed = world["Practitioner/doc"] | {"active": True}
    updated = api.put("Practitioner/doc", changed).json["meta"]["lastUpdated"]
    assert names(api, f"_since={updated}") == {"Practitioner/doc"}
    assert names(api, "_since=2999-01-01T00:00:00Z") == set()
    assert "entry" not in api.get("Patient/p/$everything?_since=2999-01-01T00:00:00Z").json


def test_by_post(api: Api, world: dict[str, Resource]) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueCode": "Observation"}, {"name": "_count", "valueInteger": 1}],
    }
    answer = api.post("Patient/p/$everything", body)
    found = [(name(entry["resource"]), "match") for entry in answer.json["entry"]]
    links = {link["relation"]: link["url"].partition("/fhir/")[2] for link in answer.json["link"]}
    assert len(found) == 1
    assert sorted(found + everything(api, links["next"])) == [(f"Observation/o{n}", "match") for n in (1, 2)]
    broken: list[Any] = [
        {"resourceType": "Patient"},
        [],
        {"resourceType": "Parameters", "parameter": [{"name": "_count"}]},
    ]
    for wrong in broken:
        assert api.post("Patient/p/$everything", wrong).status == 400


def test_pages_hold_while_others_write(api: Api, world: dict[str, Resource]) -> None:
    """What was there from first to last comes exactly once; updates, creations and deletions change nothing of that."""
    path = "Patient/p/$everything?_count=2"
    found: list[str] = []
    for number, page in enumerate(follow(api, path)):
        found += [name(entry["resource"]) for entry in page["entry"]]
        observation = {"status": "final", "code": code("new"), "subject": reference("Patient/p")}
        api.put(f"Observation/new{number}", {"resourceType": "Observation", "id": f"new{number}"} | observation)
        api.put("Encounter/e1", world["Encounter/e1"] | {"priority": code(str(number))})
        api.put("Practitioner/doc", world["Practitioner/doc"] | {"active": number % 2 == 0})
        assert number < 100
        if number == 3:
            break
    url = next(link["url"] for link in page["link"] if link["relation"] == "next")
    found += [key for key, _ in everything(api, url.partition("/fhir/")[2])]
    assert len(found) == len(set(found))
    whole = compartment(world, "Patient/p")
    assert whole | referred(world, whole, "Patient/p") | {"Patient/p", "Binary/scan"} <= set(found)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Patient/none/$everything", 404),
        ("Patient/gone/$everything", 410),
        ("Observation/o1/$everything", 404),
        ("Patient/$everything", 405),
        ("Patient/p/$everything?_count=0", 400),
        ("Patient/p/$everything?_count=x", 400),
        ("Patient/p/$everything?nonsense=1", 400),
        ("Patient/p/$everything?_type=Patinet", 400),
        ("Patient/p/$everything?start=yesterday", 400),
        ("Patient/p/$everything?start=2020&start=2021", 400),
        ("Patient/p/$everything?_cursor=AAAA", 400),
        ("Patient/p/$everything?_cursor=AAAA&_count=1", 400),
        ("Patient/p/$everything?_since=%00", 400),
    ],
)
def test_what_is_refused(api: Api, world: dict[str, Resource], path: str, status: int) -> None:
    api.put("Patient/gone", {"resourceType": "Patient", "id": "gone"})
    api.delete("Patient/gone")
    answer = api.get(path)
    assert answer.status == status
    assert answer.json["resourceType"] == "OperationOutcome"


def test_each_resource_wants_a_permission_of_its_type(new_api: Callable[..., Api]) -> None:
    full = new_api()
    store(full, WORLD)

    def seen(scope: str) -> set[str]:
        return {key for key, _ in everything(new_api(scope, full.slug), "Patient/p/$everything?_count=2")}

    assert seen("system/Patient.r") == {"Patient/p"}
    assert seen("system/Patient.r system/Encounter.s") == {"Patient/p", "Encounter/e1", "Encounter/e2"}
    # The practitioner is one that an Observation names, which this caller may not see.
    both = seen("system/Patient.r system/Encounter.s system/Practitioner.rs")
    assert both == {"Patient/p", "Encounter/e1", "Encounter/e2", "Practitioner/before"}
    for scope in ("system/Patient.s system/Observation.rs", "system/Observation.rs", "patient/*.rs", "openid"):
        assert new_api(scope, full.slug).get("Patient/p/$everything").status == 403


def test_a_cursor_is_for_its_caller_alone(new_api: Callable[..., Api]) -> None:
    one, other = new_api(), new_api()
    store(one, WORLD)
    store(other, WORLD)
    first = one.get("Patient/p/$everything?_count=2").json
    path = next(link["url"] for link in first["link"] if link["relation"] == "next").partition("/fhir/")[2]
    assert one.get(path).status == 200
    assert other.get(path).status == 400
    assert one.get(path.replace("Patient/p", "Patient/q")).status == 400
    # Decided again on every page.
    poorer = new_api("system/Patient.rs", one.slug)
    assert {name(e["resource"]) for e in poorer.get(path).json.get("entry", ())} <= {"Patient/q"}
    assert new_api("system/Observation.rs", one.slug).get(path).status == 403


def test_another_tenant_of_the_same_ids(new_api: Callable[..., Api]) -> None:
    victim, attacker = new_api(), new_api()
    store(victim, WORLD)
    store(attacker, [{"resourceType": "Patient", "id": "p"}, WORLD[13]])
    found = {key for key, _ in everything(attacker, "Patient/p/$everything")}
    # Practitioner/doc and Encounter/e1, which the observation names, are the victim's alone.
    assert found == {"Patient/p", "Observation/o1"}


def load(api: Api, path: Path) -> None:
    """A person's bundle under the ids that it has, in transactions that the limit of the tests' server lets through."""
    entries = json.loads(bz2.decompress(path.read_bytes()))["entry"]
    text = json.dumps([entry["resource"] for entry in entries])
    for entry in entries:
        text = text.replace(f'"{entry["fullUrl"]}"', f'"{name(entry["resource"])}"')
    resources = json.loads(text)
    for start in range(0, len(resources), 300):
        store(api, resources[start : start + 300])


def test_a_sample_of_synthea(api: Api, shared_data: Path) -> None:
    """Thousands of resources, against the set computed from the resources themselves."""
    files = sorted((shared_data / "synthea").glob("*.json.bz2"), key=lambda path: path.stat().st_size)
    for path in files:
        if "Information" in path.name:
            assert api.post("", bz2.decompress(path.read_bytes())).status == 200
    people = [path for path in files if "Information" not in path.name]
    load(api, people[0])
    load(api, people[-1])
    load(api, people[-2])
    resources: dict[str, Resource] = {}
    for resource_type in definitions.load().resource_types:
        for page in follow(api, f"{resource_type}?_count=1000"):
            for entry in page.get("entry", ()):
                resources[name(entry["resource"])] = entry["resource"]
    patients = sorted(key for key in resources if key.startswith("Patient/"))
    assert len(patients) == 3
    assert sum(check(api, resources, patient, 100) for patient in patients) > 2000
    assert check(api, resources, patients[0], 37) == check(api, resources, patients[0], 1000)
    for encounter in [key for key in resources if key.startswith("Encounter/")][::20]:
        check(api, resources, encounter, 10)


def test_round_trips(api: Api, world: dict[str, Resource], count: RoundTrips) -> None:
    """The resource and a page of its compartment; where that ends, its references and what they lead to."""
    api.get("Patient/p/$everything?_count=3")
    assert count(lambda: api.get("Patient/p/$everything?_count=3"))[0] == 2
    assert count(lambda: api.get("Patient/p/$everything"))[0] == 4
