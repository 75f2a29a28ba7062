"""Searches on contained resources. https://hl7.org/fhir/R4/search.html#contained"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.search import roads
from tests.functional.conftest import Api

MG = {"system": "http://unitsofmeasure.org", "code": "mg"}


def request(name: str, *medications: dict[str, Any]) -> dict[str, Any]:
    if not medications:
        return request(name, {}) | {"medicationReference": {"reference": "Medication/itself"}, "contained": None}
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p"},
        "medicationReference": {"reference": "#m0"},
        "contained": [{"resourceType": "Medication", "id": f"m{n}", **one} for n, one in enumerate(medications)],
        "supportingInformation": [{"reference": f"#m{n}"} for n in range(len(medications))],
    }


def medication(code: str, status: str = "active", lot: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"code": {"coding": [{"system": "urn:drugs", "code": code}]}, "status": status}
    return made | ({"batch": {"lotNumber": lot}} if lot else {})


@pytest.fixture
def clinic(api: Api) -> Api:
    made = [
        request("one", medication("aspirin", lot="A1")),
        request("two", medication("aspirin", "inactive"), medication("ibuprofen", "active", "B2")),
        request("none"),
        {"resourceType": "Medication", "id": "itself", **medication("aspirin")},
        {
            "resourceType": "Medication",
            "id": "both",
            **medication("aspirin"),
            "ingredient": [{"itemReference": {"reference": "#inner"}}],
            "contained": [{"resourceType": "Medication", "id": "inner", **medication("aspirin")}],
        },
    ]
    del made[2]["contained"], made[2]["supportingInformation"]
    for one in made:
        assert api.put(f"{one['resourceType']}/{one['id']}", one).status == 201, one
    return api


def found(api: Api, query: str) -> list[str]:
    answer = api.get(query)
    assert answer.status == 200, answer.data
    return sorted(entry["resource"]["id"] for entry in answer.json.get("entry", []))


@pytest.mark.parametrize("most", [roads.MOST_FOUND, 0])
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("code=aspirin", ["both", "itself"]),
        ("code=aspirin&_contained=false", ["both", "itself"]),
        ("code=aspirin&_contained=true", ["both", "one", "two"]),
        ("code=aspirin&_contained=both", ["both", "itself", "one", "two"]),
        ("code=urn:drugs|ibuprofen&_contained=true", ["two"]),
        # All of it is said of one and the same contained resource.
        ("code=aspirin&status=active&_contained=true", ["both", "one"]),
        ("code=aspirin&status=inactive&_contained=true", ["two"]),
        ("code=ibuprofen&status=inactive&_contained=true", []),
        ("code:not=aspirin&_contained=true", ["two"]),
        ("lot-number:missing=true&_contained=true", ["both", "two"]),
        ("lot-number:missing=false&_contained=true", ["one", "two"]),
        ("lot-number=A1,B2&_contained=true&_sort=-_id", ["one", "two"]),
        ("_contained=true", ["both", "one", "two"]),
        ("code=aspirin&_contained=true&_lastUpdated=gt2020", ["both", "one", "two"]),
        ("code=aspirin&_contained=true&_lastUpdated=lt2020", []),
    ],
)
def test_what_contains_a_match_is_found(
    clinic: Api, monkeypatch: pytest.MonkeyPatch, query: str, wanted: list[str], most: int
) -> None:
    monkeypatch.setattr(roads, "MOST_FOUND", most)
    assert found(clinic, f"Medication?{query}") == wanted
    assert clinic.get(f"Medication?{query}&_summary=count").json["total"] == len(wanted)


def test_pages_show_each_once(clinic: Api) -> None:
    seen: list[str] = []
    path = "Medication?code=aspirin&_contained=both&_count=1"
    while path:
        page = clinic.get(path).json
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        links = {link["relation"]: link["url"] for link in page["link"]}
        path = links.get("next", "").partition("/fhir/")[2]
    assert sorted(seen) == ["both", "itself", "one", "two"]
    answer = clinic.get("Medication?code=aspirin&_contained=true&_total=accurate&_count=1").json
    assert answer["total"] == 3
    assert answer["link"][0]["url"].endswith("Medication?code=aspirin&_contained=true&_total=accurate&_count=1")


def test_quantities_dates_and_chains_within(api: Api) -> None:
    assert api.put("Patient/p", {"resourceType": "Patient", "id": "p", "name": [{"family": "Outer"}]}).status == 201
    inner = {
        "resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
        "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2020-02-03",
        "valueQuantity": {"value": 1500, **MG},
    }  # fmt: skip
    report = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "y"}}
    report |= {"contained": [inner], "result": [{"reference": "#o"}], "effectiveDateTime": "2024-01-01"}
    assert api.put("DiagnosticReport/r", report).status == 201
    for query, wanted in [
        ("value-quantity=1.5|http://unitsofmeasure.org|g", ["r"]),
        ("value-quantity=1.6|http://unitsofmeasure.org|g", []),
        ("date=2020-02", ["r"]), ("date=2024", []), ("patient=Patient/p", ["r"]), ("patient=p", ["r"]),
        ("subject:Patient.family=outer", ["r"]), ("patient.family=other", []), ("status=final&date=ge2020", ["r"]),
    ]:  # fmt: skip
        assert found(api, f"Observation?{query}&_contained=true") == wanted, query
    # The report is not a resource of the patient for what it contains.
    assert found(api, "DiagnosticReport?patient=p") == []
    inner["status"] = "amended"
    assert api.put("DiagnosticReport/r", report).status == 200
    assert found(api, "Observation?status=final&_contained=true") == []
    assert found(api, "Observation?status=amended&_contained=true") == ["r"]
    assert api.delete("DiagnosticReport/r").status == 204
    assert found(api, "Observation?status=amended&_contained=true") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("_id=x&_contained=true", "cannot be searched by '_id'"),
        ("_has:MedicationRequest:medication:status=active&_contained=true", "cannot be searched by '_has"),
        ("_text=x&_contained=both", "cannot be searched by '_text'"),
        ("code:text=x&_contained=true", "cannot be searched by 'code:text'"),
        ("_sort=code&_contained=true", "can be sorted by _id and _lastUpdated"),
        ("_contained=maybe", "Unknown value 'maybe' of _contained"),
        ("code=x&_contained=true&_containedType=contained", "_containedType=contained is not supported"),
    ],
)
def test_what_cannot_be_is_refused(api: Api, query: str, message: str) -> None:
    answer = api.get(f"Medication?{query}")
    assert answer.status == 400
    assert message in answer.json["issue"][0]["diagnostics"]
    assert api.get(f"?_type=Medication,Patient&{query}").status == 400


def test_other_tenants_and_forbidden_types_are_not_shown(clinic: Api, new_api: Callable[..., Api]) -> None:
    other = new_api()
    assert found(other, "Medication?code=aspirin&_contained=both") == []
    poor = new_api("system/Medication.rs", clinic.slug)
    assert found(poor, "Medication?code=aspirin&_contained=both") == ["both", "itself"]
    assert found(poor, "Medication?code=aspirin&_contained=true") == ["both"]
    for contained, number in (("both", 2), ("true", 1)):
        query = f"Medication?code=aspirin&_contained={contained}"
        assert poor.get(f"{query}&_summary=count").json["total"] == number
        assert poor.get(f"{query}&_total=accurate&_count=1").json["total"] == number
    # A chain tells of what it leads through, from a contained resource too.
    assert poor.get("Medication?manufacturer.name=x&_contained=true").status == 403
