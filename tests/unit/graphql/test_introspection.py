"""The schema as graphql-core understands it: built from our own answer, for the types that one query reaches."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.graphql import introspection, schema
from fhir_server.r4 import definitions


def opened(value: Any) -> Any:
    return value() if callable(value) else value


def named(kind: dict[str, Any]) -> dict[str, Any]:
    while kind["name"] is None:
        kind = opened(kind["ofType"])
    return kind


@pytest.mark.parametrize(
    "name", ["Query", *definitions.load().resource_types, "PatientConnection", "PatientEdge", "Reference"]
)
def test_all_that_a_type_speaks_of_is_there(name: str) -> None:
    found = introspection.type_of(name)
    assert found is not None
    own = {v: k for k, v in {n: schema.graphql_name(n) for n in definitions.load().types}.items()}.get(name, name)
    fields = opened(found["fields"])
    assert len({field["name"] for field in fields}) == len(fields)
    for field in fields:
        assert schema.field(own, field["name"]) is not None
        assert introspection.type_of(named(opened(field["type"]))["name"]) is not None
        arguments = opened(field["args"])
        assert len({one["name"] for one in arguments}) == len(arguments), field["name"]
        for one in arguments:
            assert introspection.type_of(named(opened(one["type"]))["name"])["kind"] == "SCALAR"  # type: ignore[index]


def test_kinds() -> None:
    for name, kind in (("Resource", "UNION"), ("code", "SCALAR"), ("Int", "SCALAR"), ("HumanName", "OBJECT")):
        assert introspection.type_of(name)["kind"] == kind  # type: ignore[index]
    for name in ("", "Nope", "NopeConnection", "__Type", "DomainResource", "Patient.contact"):
        assert introspection.type_of(name) is None
