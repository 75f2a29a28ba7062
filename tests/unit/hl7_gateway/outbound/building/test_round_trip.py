"""Whatever resources say, our own conversion reads it again in the message that tells of them. docs/hl7-outbound.md"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hl7_gateway.conversion.bundle import as_bundle
from hl7_gateway.conversion.convert import convert
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.lint import lint
from hl7_gateway.message import Message
from hl7_gateway.outbound.building.codes import translated
from hl7_gateway.outbound.rules import VERSIONS
from tests.unit.hl7_gateway.outbound.samples import DOCTOR, ENCOUNTER, PATIENT, REPORT, TERMINOLOGY, made

Json = dict[str, Any]

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]) | st.sampled_from("|^~\\&#\"' .-\r\n\t")
TEXTS = st.text(CHARACTERS, min_size=1, max_size=12).map(str.strip).filter(bool) | st.just('""')
CODES = TEXTS.map(lambda text: " ".join(text.split()))
"""With single spaces, as codes are read: https://hl7.org/fhir/R4/datatypes.html#code"""
LINES = TEXTS.filter(lambda one: "\r" not in one)
SYSTEMS = st.sampled_from(
    ["urn:oid:1.2.3", "http://a.example/x", "urn:uuid:00000000-0000-4000-8000-000000000000", "urn:hl7:dns:a.example"]
)
IDENTIFIERS = st.fixed_dictionaries({"system": SYSTEMS, "value": TEXTS})
DAYS = st.dates().map(lambda day: f"{day:%Y-%m-%d}".rjust(10, "0")) | st.sampled_from(["1961", "2001-12"])
TIMES = st.datetimes().map(lambda at: f"{at.isoformat(timespec='seconds')}Z") | st.sampled_from(
    ["1961", "2001-12", "2001-12-31", "2024-08-18T11:26:00-04:00", "2024-08-18T11:26:00.1234+05:30"]
)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)
CODE_SYSTEMS = st.sampled_from(
    ["http://loinc.org", "http://snomed.info/sct", "urn:oid:1.9", "http://own.example/codes"]
)
RESULT_STATUS = st.sampled_from(["preliminary", "final", "corrected", "cancelled", "registered", "entered-in-error"])
CONCEPTS = st.fixed_dictionaries(
    {
        "coding": st.lists(
            st.fixed_dictionaries(
                {"code": TEXTS, "system": CODE_SYSTEMS},
                optional={"display": TEXTS},
            ),
            min_size=1, max_size=2,
        )
    },
    optional={"text": TEXTS},
)  # fmt: skip
QUANTITIES = st.fixed_dictionaries(
    {"value": NUMBERS},
    optional={"comparator": st.sampled_from(["<", "<=", ">", ">="]), "unit": TEXTS},
) | st.fixed_dictionaries(
    {"value": NUMBERS, "unit": TEXTS, "code": CODES, "system": st.just("http://unitsofmeasure.org")}
)

NAMES = st.fixed_dictionaries(
    {"family": TEXTS},
    optional={
        "given": st.lists(TEXTS, min_size=1, max_size=2),
        "use": st.sampled_from(["official", "usual", "maiden", "nickname", "old", "anonymous"]),
        "prefix": st.lists(TEXTS, min_size=1, max_size=1),
        "suffix": st.lists(TEXTS, min_size=1, max_size=1),
    },
)
ADDRESSES = st.fixed_dictionaries(
    {"line": st.lists(TEXTS, min_size=1, max_size=3)},
    optional={
        **dict.fromkeys(["city", "state", "postalCode", "country", "district"], TEXTS),
        "use": st.sampled_from(["home", "work", "temp", "billing"]),
    },
)
CONTACTS = st.one_of(
    st.fixed_dictionaries(
        {
            "system": st.sampled_from(["phone", "fax", "pager"]),
            "value": st.from_regex(r"[0-9+() x-]{1,15}", fullmatch=True).map(str.strip).filter(bool),
            "use": st.sampled_from(["home", "work"]),
        }
    ),
    st.fixed_dictionaries({"system": st.just("phone"), "value": st.just("0171"), "use": st.just("mobile")}),
    st.fixed_dictionaries(
        {"system": st.just("email"), "value": TEXTS.map(lambda one: f"{one}@x"), "use": st.just("work")}
    ),
)
PATIENTS = st.fixed_dictionaries(
    {
        "resourceType": st.just("Patient"),
        "id": st.just("p"),
        "identifier": st.lists(
            IDENTIFIERS, min_size=1, max_size=3, unique_by=lambda one: (one["system"], one["value"])
        ),
        "name": st.lists(NAMES, min_size=1, max_size=2, unique_by=lambda one: repr(sorted(one.items()))),
    },
    optional={
        "birthDate": DAYS,
        "gender": st.sampled_from(["male", "female", "other", "unknown"]),
        "address": st.lists(ADDRESSES, min_size=1, max_size=2, unique_by=lambda one: repr(sorted(one.items()))),
        "telecom": st.lists(CONTACTS, min_size=1, max_size=3, unique_by=lambda one: repr(sorted(one.items()))),
        "deceasedBoolean": st.booleans(),
        "multipleBirthInteger": st.integers(1, 9),
        "maritalStatus": st.sampled_from("MSDW").map(
            lambda code: {"coding": [{"system": TERMINOLOGY + "v3-MaritalStatus", "code": code}]}
        ),
    },
)


def read_again(raw: bytes) -> dict[str, list[Json]]:
    """What a message says, by resource type; it has no error, and all that is in it is read without a warning."""
    message, mapping = Message(raw.decode()), FeedMapping("x")
    assert [finding for finding in lint(message) if finding.severity == "E"] == []
    conversion = convert(message, mapping)
    assert conversion.warnings == []
    assert {place.segment for place in conversion.unmapped} <= {"EVN"}
    found: dict[str, list[Json]] = {}
    for entry in as_bundle(conversion, message, mapping)["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def pairs(resource: Json) -> set[tuple[str, str]]:
    return {(one["system"], one["value"]) for one in resource.get("identifier", ())}


def by_text(many: list[Json]) -> list[str]:
    return sorted(repr(sorted(one.items())) for one in many)


@settings(max_examples=60)
@given(PATIENTS, st.sampled_from(VERSIONS))
def test_a_person(patient: Json, version: str) -> None:
    (again,) = read_again(made(None, patient, version=version).raw)["Patient"]
    assert pairs(again) == pairs(patient)
    assert by_text(again["name"]) == by_text(patient["name"])
    assert by_text(again.get("telecom", [])) == by_text(patient.get("telecom", []))
    for expected, sent in zip(patient.get("address", []), again.get("address", []), strict=True):
        expected["line"] = [*expected["line"][:2], *expected["line"][2:]]
        assert sent == expected
    for element in ("birthDate", "gender", "deceasedBoolean", "multipleBirthInteger"):
        assert again.get(element) == patient.get(element)
    married = patient.get("maritalStatus")
    if married:
        assert married["coding"][0].items() <= again["maritalStatus"]["coding"][0].items()


@settings(max_examples=60)
@given(PATIENTS, PATIENTS)
def test_a_change_of_a_person_takes_back_what_is_gone(before: Json, after: Json) -> None:
    conversion = convert(Message(made(before, after).raw.decode()), FeedMapping("x"))
    stated = {said.path: bool(said.values) for said in conversion.drafts[0].stated}
    for element in ("birthDate", "gender", "address", "maritalStatus", "multipleBirthInteger"):
        if element in after:
            assert stated[element]
        elif element in before:
            assert not stated[element]
        else:
            assert element not in stated


ENCOUNTERS = st.fixed_dictionaries(
    {
        "resourceType": st.just("Encounter"),
        "id": st.just("e"),
        "status": st.sampled_from(["in-progress", "finished", "onleave"]),
        "class": st.sampled_from(["IMP", "AMB", "EMER"]).map(
            lambda code: {"system": TERMINOLOGY + "v3-ActCode", "code": code}
        ),
        "identifier": st.lists(
            IDENTIFIERS, min_size=1, max_size=2, unique_by=lambda one: (one["system"], one["value"])
        ),
        "subject": st.just({"reference": "Patient/p"}),
        "period": st.fixed_dictionaries({"start": TIMES}),
        "participant": st.just(ENCOUNTER["participant"]),
    },
    optional={"location": st.just(ENCOUNTER["location"])},
)


@settings(max_examples=60)
@given(ENCOUNTERS, st.sampled_from(VERSIONS), NAMES)
def test_a_visit(encounter: Json, version: str, name: Json) -> None:
    found = read_again(made(None, encounter, {**DOCTOR, "name": [name]}, version=version).raw)
    (again,) = found["Encounter"]
    assert (again["status"], again["class"]["code"]) == (encounter["status"], encounter["class"]["code"])
    assert pairs(again) == pairs(encounter)
    assert again["period"]["start"] == encounter["period"]["start"].replace("Z", "+00:00")
    (doctor,) = found["Practitioner"]
    assert pairs(doctor) == pairs(DOCTOR)
    assert doctor["name"] == [name]
    assert again["participant"][0]["type"][0]["coding"][0]["code"] == "ATND"
    assert pairs(found["Patient"][0]) == {
        (one["system"], one["value"]) for one in PATIENT["identifier"] if "use" not in one
    }
    assert ([one["name"] for one in found["Location"]] if "location" in encounter else []) == (
        ["ICU", "ICU Bed 3"] if "location" in encounter else []
    )


VALUES = st.one_of(
    QUANTITIES.map(lambda one: ("valueQuantity", one)),
    CONCEPTS.map(lambda one: ("valueCodeableConcept", one)),
    LINES.map(lambda one: ("valueString", one)),
    TIMES.map(lambda one: ("valueDateTime", one)),
    st.integers(0, 10**6).map(lambda one: ("valueInteger", one)),
    st.times().map(lambda at: ("valueTime", at.isoformat(timespec="seconds"))),
    st.tuples(NUMBERS, NUMBERS).map(
        lambda two: ("valueRange", {"low": {"value": min(two)}, "high": {"value": max(two)}})
    ),
)  # fmt: skip
OBSERVATIONS = st.tuples(
    VALUES,
    st.fixed_dictionaries(
        {
            "resourceType": st.just("Observation"),
            "status": RESULT_STATUS,
            "code": CONCEPTS,
        },
        optional={"effectiveDateTime": TIMES, "note": LINES.map(lambda one: [{"text": one}])},
    ),
).map(lambda both: {**both[1], both[0][0]: both[0][1]})  # fmt: skip


def coded(concept: Json) -> tuple[set[tuple[str, str]], set[str]]:
    """The codes of a concept, and what they are called: a code without a label is called by the text.

    A code has no other white space than single spaces: https://hl7.org/fhir/R4/datatypes.html#code
    """
    codings = concept.get("coding", ())
    labels = {concept.get("text", ""), *(one.get("display", "") for one in codings)}
    return {(one["system"], " ".join(one["code"].split())) for one in codings}, labels - {""}


def plain(value: Any) -> Any:
    """Numbers by what they are worth, times by how our conversion writes them."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, str) and value.endswith("Z") and value[:4].isdigit():
        return value.replace("Z", "+00:00")
    return Decimal(value) if isinstance(value, int | Decimal) else value


@settings(max_examples=60)
@given(
    st.lists(OBSERVATIONS, min_size=1, max_size=3, unique_by=lambda one: repr(coded(one["code"]))),
    st.sampled_from(VERSIONS),
)
def test_results(observations: list[Json], version: str) -> None:
    for number, one in enumerate(observations):
        one["id"] = f"o{number}"
    report = {**REPORT, "result": [{"reference": f"Observation/{one['id']}"} for one in observations]}
    found = read_again(made(None, report, *observations, version=version).raw)
    for one, again in zip(observations, found["Observation"], strict=True):
        assert again["status"] == one["status"]
        assert again.get("note") == one.get("note")
        assert coded(again["code"]) == coded(one["code"])
        element = next(name for name in one if name.startswith("value"))
        if element == "valueCodeableConcept":
            assert coded(again[element]) == coded(one[element])
        elif element == "valueInteger":
            assert again["valueQuantity"] == {"value": Decimal(one[element])}
        else:
            assert plain(again[element]) == plain(one[element])
        if "effectiveDateTime" in one:
            assert again["effectiveDateTime"] == one["effectiveDateTime"].replace("Z", "+00:00")
    (sent,) = found["DiagnosticReport"]
    assert sent["status"] == "final"
    assert sent["conclusion"] == report["conclusion"]
    assert pairs(found["Specimen"][0]) == {("urn:oid:1.2.5", "S1")}
    assert pairs(found["ServiceRequest"][0]) >= {("urn:oid:1.2.6", "Q1")}


def test_codes_go_back_to_those_that_they_come_from() -> None:
    for name in ("AdministrativeSex", "AddressType[Use]", "MaritalStatus"):
        assert all(translated(name).values())
