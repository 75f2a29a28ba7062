"""The fields of every type, against the definitions themselves."""

from __future__ import annotations

import re

import pytest

from fhir_server.graphql import schema
from fhir_server.r4 import definitions
from fhir_server.search.registry import STANDARD, parameters
from fhir_server.search.support import searchable

PACK = definitions.load()


@pytest.mark.parametrize("name", sorted(PACK.types))
def test_every_element_is_a_field(name: str) -> None:
    found = schema.elements(name)
    for element in PACK.types[name].elements.values():
        for json_name, ref in element.json_names().items():
            assert found[json_name].repeats == (element.max != 1)
            assert found[json_name].type == ref.code
            assert found[json_name].kind in ("primitive", "object")
    for field in found.values():
        if field.kind == "object":
            assert schema.elements(field.type)


def test_names_are_graphqls_own_and_each_stands_for_one_type() -> None:
    names = [schema.graphql_name(name) for name in PACK.types]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[_A-Za-z][_0-9A-Za-z]*", name) for name in names)
    fields = {field for name in PACK.types for field in schema.elements(name)}
    assert all(re.fullmatch(r"[_A-Za-z][_0-9A-Za-z]*", name) for name in fields)


def test_fields_that_read_and_search() -> None:
    assert schema.field("Query", "Patient") == schema.Field("Patient", "id", "Patient")
    assert schema.field("Query", "PatientList") == schema.Field("PatientList", "list", "Patient", repeats=True)
    connection = schema.Field("PatientConnection", "connection", "PatientConnection")
    assert schema.field("Query", "PatientConnection") == connection
    assert schema.field("Encounter", "PatientConnection") == connection
    # List is a resource type itself.
    assert schema.field("Query", "List") == schema.Field("List", "id", "List")
    assert schema.field("Query", "ListList") == schema.Field("ListList", "list", "List", repeats=True)
    assert schema.searched_type("ListList") == "List"
    for of, name in (
        ("Query", "HumanName"),
        ("Query", "NopeList"),
        ("Patient", "Patient"),
        ("HumanName", "PatientList"),
    ):
        assert schema.field(of, name) is None


def test_every_search_parameter_has_one_argument() -> None:
    for name in PACK.resource_types:
        for parameter in searchable(name):
            argument = parameter.code.replace("-", "_")
            assert schema.parameter_name(STANDARD, name, argument) == parameter.code
    assert schema.parameter_name(STANDARD, "Patient", "name_exact") == "name:exact"
    assert schema.parameter_name(STANDARD, "Patient", "address_city_contains") == "address-city:contains"
    assert schema.parameter_name(STANDARD, "Patient", "nonsense_exact") is None
    assert schema.parameter_name(STANDARD, "Patient", "name_") is None


def test_references_that_lead_back() -> None:
    assert "subject" in schema.references_back(parameters("Observation"), "Patient")
    assert "based_on" not in schema.references_back(parameters("Observation"), "Patient")
    assert schema.references_back(parameters("Observation"), "Observation")["has_member"] == "has-member"


def test_what_a_fragment_may_call_a_type() -> None:
    assert schema.names_of("Patient") >= {"Patient", "DomainResource", "Resource"}
    assert schema.names_of("Patient.contact") >= {"PatientContact", "BackboneElement", "Element"}
