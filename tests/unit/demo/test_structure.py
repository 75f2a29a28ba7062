"""The demo's resources are R4: by the definitions pack, and by fhir.resources. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.r4 import definitions, json
from fhir_server.validation import validate
from tests.unit.demo.structure import faults


def test_every_resource_keeps_to_the_definitions(bundles: list[dict[str, Any]]) -> None:
    pack = definitions.load()
    found = {fault for bundle in bundles for entry in bundle["entry"] for fault in faults(pack, entry["resource"])}
    assert not found


def test_the_product_finds_no_error(bundles: list[dict[str, Any]]) -> None:
    for bundle in bundles:
        for entry in bundle["entry"]:
            validate(json.parse(json.dumps(entry["resource"])), entry["resource"]["resourceType"])


def test_the_bundles_themselves_keep_to_the_definitions(bundles: list[dict[str, Any]]) -> None:
    pack = definitions.load()
    for bundle in bundles:
        shell = bundle | {
            "entry": [{name: entry[name] for name in ("fullUrl", "request")} for entry in bundle["entry"]]
        }
        assert not list(faults(pack, shell))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"colour": "red"}, "Patient.colour: unknown"),
        ({"gender": "f"}, "Patient.gender: f is not among"),
        ({"birthDate": "3 May 1970"}, "Patient.birthDate: '3 May 1970' is not written as date"),
        ({"active": "yes"}, "Patient.active: 'yes' is no boolean"),
        ({"name": {"family": "Ito"}}, "Patient.name: a list where none is due"),
        ({"link": [{"type": "refer"}]}, "Patient.link.other: 0 of 1..1"),
        ({"managingOrganization": {"reference": "Patient/p002"}}, "Patient.managingOrganization: Patient/p002 is none"),
    ],
)
def test_the_check_itself_finds_faults(records: list[list[dict[str, Any]]], change: dict[str, Any], fault: str) -> None:
    found = list(faults(definitions.load(), records[0][0] | change))
    assert [each for each in found if each.startswith(fault)], found


def test_fhir_resources_reads_every_resource(records: list[list[dict[str, Any]]]) -> None:
    """The R4B models, whose types here have the same structure as in R4, as an opinion from elsewhere."""
    models = pytest.importorskip("fhir.resources.R4B")
    for resource in records[0] + records[1] + records[2] + records[5]:
        model = models.get_fhir_model_class(resource["resourceType"])
        assert model.model_validate_json(json.dumps(resource)).id == resource["id"]
