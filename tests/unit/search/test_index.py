"""Index rows against an independent FHIRPath engine, and by hand. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

import bz2
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.r4 import definitions, instants, json
from fhir_server.search.index import extract
from fhir_server.search.registry import Parameter, parameters
from fhir_server.search.types import special
from fhir_server.store.index_rows import IndexRows
from fhir_server.validation.structure import is_valid
from tests.factories.full_resources import full
from tests.unit.search import oracle
from tests.unit.validation import generate

HASHER = Hasher(b"a key for the tests of the index")

# Expressions that also lead to values that have no place in the index of their parameter's type.
NOT_WRITTEN = {
    "Bundle.composition": "the first entry may be of any type; a Composition alone is a target",
    "Bundle.message": "the first entry may be of any type; a MessageHeader alone is a target",
    "CarePlan.activity-date": "scheduledString is no date",
    "Consent.source-reference": "sourceAttachment is no reference",
    "Immunization.date": "occurrenceString is no date",
    "Procedure.date": "performedString, performedAge and performedRange are no dates",
}

NOT_INDEXED = {
    "DomainResource-text": "has no expression: the narrative's words",
    "Location-near": "is of type special: a distance, which no FHIRPath yields",
    "Resource-content": "has no expression: the words of the whole resource",
    "Resource-id": "is a column of the row",
    "Resource-lastUpdated": "is a column of the row",
    "Resource-query": "has no expression: it names an operation",
}
"""The standard parameters without values of an expression, by the end of their URL."""


def indexed(resource_type: str) -> list[Parameter]:
    """The parameters that have index rows."""
    return [
        p
        for p in parameters(resource_type).values()
        if p.expression and p.type != "special" and p.code not in special.COLUMNS
    ]


def turns(resource_type: str) -> int:
    """How many resources it takes until each type of each choice, and each code that an expression names, was there."""
    kinds = [kind for name, kind in definitions.load().types.items() if name.split(".")[0] == resource_type]
    return max(8, *(len(element.types) for kind in kinds for element in kind.elements.values()))


def compare(resource: dict[str, Any], seen: set[str]) -> None:
    """Assert that each parameter has the values that fhirpathpy finds; ``seen`` collects those that have any."""
    resource_type = resource["resourceType"]
    params, written = oracle.recorded(resource_type, resource)
    for parameter in indexed(resource_type):
        name = f"{resource_type}.{parameter.code}"
        if parameter.type == "composite":
            expected = oracle.composite_values(parameter, resource)
        else:
            expected = oracle.values(parameter.expression, resource)
        found = sorted(written.get(parameter.param, ()))
        if "resolve()" in parameter.expression:
            # The engine resolves nothing; that contained resources are looked at has a test of its own.
            found = [value for value in found if '"reference":"#' not in value]
        elif name not in NOT_WRITTEN:
            assert (parameter.param in params) is bool(expected), name
        if name in NOT_WRITTEN:
            assert set(found) <= set(expected), name
        else:
            assert found == expected, name
        if found:
            seen.add(name)


def test_every_parameter_of_every_type_finds_what_fhirpathpy_finds() -> None:
    seen: set[str] = set()
    for resource_type in definitions.load().resource_types:
        for turn in range(turns(resource_type)):
            resource = full(resource_type, turn)
            compare(resource, seen)
            assert extract(resource, HASHER).params
    every = {f"{t}.{p.code}" for t in definitions.load().resource_types for p in indexed(t)}
    assert len(every) > 1_900
    assert every - seen == set(), "parameters without a value in any of the resources"


def test_no_standard_parameter_is_left_out() -> None:
    pack = definitions.load()
    compared = {parameter.url for name in pack.resource_types for parameter in indexed(name)}
    left = {p.url.rpartition("/")[2] for p in pack.search_parameters if p.url not in compared}
    assert len(pack.search_parameters) == 1_375
    assert left == set(NOT_INDEXED)


def test_the_official_examples(shared_data: Path) -> None:
    seen: set[str] = set()
    with zipfile.ZipFile(shared_data / "fhir-r4/examples.zip") as archive:
        examples = [json.parse(archive.read(name)) for name in archive.namelist() if name.endswith(".json")]
    small = [one for one in examples if one["resourceType"] in definitions.load().type_ids]
    for example in small:
        compare(example, seen)
        extract(example, HASHER)
    assert len(small) > 400
    assert len(seen) > 500


def test_synthea_resources_have_rows(shared_data: Path) -> None:
    for path in sorted((shared_data / "synthea").glob("*.bz2"))[:3]:
        for entry in json.parse(bz2.decompress(path.read_bytes()))["entry"]:
            rows = extract(entry["resource"], HASHER)
            assert rows.params
            for rows_of_a_table in (
                rows.params,
                rows.tokens,
                rows.references,
                rows.strings,
                rows.dates,
                rows.quantities,
            ):
                assert len(set(rows_of_a_table)) == len(rows_of_a_table)


def test_what_validation_accepts_has_rows_however_odd_it_is() -> None:
    accepted = 0
    for seed in range(1_000):
        rng = random.Random(seed)
        original = generate.resource(rng)
        for odd in (original, *(generate.mutated(rng, original) for _ in range(5))):
            if is_valid(odd):
                extract(odd, HASHER)
                accepted += 1
    assert accepted > 300


def rows_of(resource_type: str, **elements: Any) -> IndexRows:
    return extract({"resourceType": resource_type, **elements}, HASHER)


def test_rows_of_a_patient_by_hand() -> None:
    rows = rows_of("Patient", id="1", gender="male", name=[{"family": "Ö"}, {"family": "Ö"}], birthDate="1970-01-01")
    gender, family, name, phonetic, birthdate, deceased = (
        param_id(f"Patient.{code}") for code in ("gender", "family", "name", "phonetic", "birthdate", "deceased")
    )
    exact = HASHER("Ö")
    assert sorted(rows.params) == sorted([gender, family, name, phonetic, birthdate, deceased])
    assert sorted(rows.tokens) == sorted([HASHER(f"{gender}:c:male"), HASHER(f"{deceased}:c:false")])
    assert sorted(rows.strings) == sorted((param, "o", exact) for param in (family, name, phonetic))
    assert rows.dates == [(birthdate, 0, instants.DAY)]
    assert rows.patient == HASHER("Patient/1")
    assert rows.date_low is None


def test_a_patient_without_an_id_has_no_key_yet() -> None:
    assert rows_of("Patient", gender="male").patient is None


@pytest.mark.parametrize(
    ("subject", "patient"),
    [
        ({"reference": "Patient/1"}, "Patient/1"),
        ({"reference": "Patient/1/_history/2"}, "Patient/1"),
        ({"reference": "http://a.org/Patient/1"}, "http://a.org/Patient/1"),
        ({"reference": "urn:uuid:1", "type": "Patient"}, "urn:uuid:1"),
        ({"reference": "urn:uuid:1"}, None),
        ({"reference": "Group/1"}, None),
        ({"reference": "#p"}, None),
        ({"identifier": {"value": "1"}, "type": "Patient"}, None),
        (None, None),
    ],
)
def test_the_patient_of_the_row(subject: dict[str, Any] | None, patient: str | None) -> None:
    elements = {} if subject is None else {"subject": subject}
    contained = [{"resourceType": "Patient", "id": "p"}]
    rows = rows_of("Observation", contained=contained, **elements)
    assert rows.patient == (None if patient is None else HASHER(patient))


def test_the_patient_where_several_types_may_stand_in_a_patient_parameter() -> None:
    assert rows_of("DeviceUseStatement", subject={"reference": "Group/1"}).patient is None
    assert rows_of("DeviceUseStatement", subject={"reference": "Patient/1"}).patient == HASHER("Patient/1")


def test_the_clinical_date_of_the_row_spans_all_values() -> None:
    rows = rows_of("Encounter", period={"start": "1970-01-02"})
    assert (rows.date_low, rows.date_high) == (instants.DAY, instants.MAX)
    activity = {"reported": True}
    rows = rows_of("Observation", effectiveDateTime="1970-01-01", component=[activity])
    assert (rows.date_low, rows.date_high) == (0, instants.DAY)
    prediction = [{"whenPeriod": {"start": "1970"}}]
    rows = rows_of("RiskAssessment", occurrenceDateTime="1970-01-01", prediction=prediction)
    assert (rows.date_low, rows.date_high) == (0, instants.DAY)


def test_contained_resources_are_no_targets_but_count_as_values() -> None:
    rows = rows_of("Observation", subject={"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}])
    assert rows.references == []
    assert param_id("Observation.patient") in rows.params


def test_nulls_among_primitives_are_no_values() -> None:
    rows = rows_of("Patient", name=[{"given": [None, "A"], "_given": [{"id": "x"}, None]}])
    assert {value for _, value, _ in rows.strings} == {"a"}
    rows = rows_of("Patient", name=[{"given": [None], "_given": [{"id": "x"}]}])
    assert param_id("Patient.given") not in rows.params
    assert rows.strings == []


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeyError):
        rows_of("Nothing")
