"""What a query is told of the schema, and that it is true. https://spec.graphql.org/October2021/#sec-Introspection"""

from __future__ import annotations

from tests.functional.conftest import Api
from tests.functional.test_graphql import ANN, data, world

__all__ = ["world"]


def test_the_schema_can_be_asked_for(world: Api) -> None:
    found = data(
        world,
        """{ __schema { queryType { name } mutationType { name } types { kind name } directives { name args { name } } }
             __type(name: "PatientContact") { ...shown } none: __type(name: "Nope") { name } }
           fragment shown on __Type { kind name fields(includeDeprecated: true) {
             name args { name type { name } } type { kind name ofType { kind name } } } }""",
    )
    names = {one["name"]: one["kind"] for one in found["__schema"]["types"]}
    assert found["__schema"]["queryType"] == {"name": "Query"}
    assert found["__schema"]["mutationType"] is None
    assert names["Patient"] == names["PatientContact"] == names["PatientConnection"] == names["HumanName"] == "OBJECT"
    assert (names["dateTime"], names["Resource"], found["none"]) == ("SCALAR", "UNION", None)
    fields = {one["name"]: one for one in found["__type"]["fields"]}
    assert fields["telecom"]["type"] == {
        "kind": "LIST",
        "name": None,
        "ofType": {"kind": "OBJECT", "name": "ContactPoint"},
    }
    assert "system" in {one["name"] for one in fields["telecom"]["args"]}
    assert fields["gender"]["type"] == {"kind": "SCALAR", "name": "code", "ofType": None}
    here = data(
        world, '{ __schema { queryType { name fields { name } } } __type(name: "Reference") { fields { name } } }', ANN
    )
    assert here["__schema"]["queryType"]["name"] == "Patient"
    assert {"name": "ObservationList"} in here["__schema"]["queryType"]["fields"]
    assert {"name": "resource"} in here["__type"]["fields"]


def test_what_the_schema_says_can_be_asked(world: Api) -> None:
    """Each field of a type, asked for with what it tells of itself; the schema claims nothing that is not there."""
    types = [one["name"] for one in data(world, "{ __schema { types { name } } }")["__schema"]["types"]]
    assert {"Patient", "Query", "ElementDefinitionSlicing", "Observation"} <= set(types)
    fields = data(world, '{ __type(name: "Patient") { fields { name type { kind ofType { kind } } } } }')["__type"][
        "fields"
    ]
    asked = []
    for one in fields:
        kind = one["type"]["ofType"]["kind"] if one["type"]["kind"] == "LIST" else one["type"]["kind"]
        if one["name"].endswith(("List", "Connection")):
            continue
        asked.append(one["name"] + ("" if kind == "SCALAR" else " { __typename }"))
    assert data(world, "{ " + " ".join(asked) + " }", ANN)["gender"] == "female"
