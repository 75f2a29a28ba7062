"""FHIRPath Patch, operation by operation. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, FhirError, Invalid, TooLarge
from fhir_server.fhirpath.patch import patch_resource
from fhir_server.fhirpath.patch_parameters import MAX_OPERATIONS
from tests.unit.fhirpath.corpus import OBSERVATION, PATIENT

VALUE = {"name": "value", "valueString": "x"}


def operation(kind: str, path: str, value: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    part: list[dict[str, Any]] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, given_value in parts.items():
        form = "valueInteger" if isinstance(given_value, int) else "valueString"
        part.append({"name": name, form: given_value})
    if value is not None:
        part.append({"name": "value", **value})
    return {"name": "operation", "part": part}


def patched(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    return patch_resource(resource, {"resourceType": "Parameters", "parameter": list(operations)})


SMALL: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:s", "value": "1"}, {"system": "urn:s", "value": "2"}],
    "birthDate": "1920-01-01",
}
FIRST, SECOND = SMALL["identifier"]
THIRD = {"system": "urn:s", "value": "3"}
EXTENSION = {"url": "http://example.org/e", "valueCode": "y"}
AN_EXTENSION = {"part": [{"name": "url", "valueUri": "http://example.org/e"}, {"name": "value[x]", "valueCode": "y"}]}
"""R4's Parameters have no valueExtension: an extension is given by its parts."""


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([operation("add", "Patient", {"valueBoolean": True}, name="active")], {"active": True}),
        (
            [operation("add", "Patient", {"valueIdentifier": THIRD}, name="identifier")],
            {"identifier": [FIRST, SECOND, THIRD]},
        ),
        (
            [operation("add", "Patient.identifier[0]", {"valueCode": "old"}, name="use")],
            {"identifier": [{**FIRST, "use": "old"}, SECOND]},
        ),
        ([operation("add", "Patient", {"valueBoolean": False}, name="deceased")], {"deceasedBoolean": False}),
        ([operation("add", "Patient", {"valueBoolean": False}, name="deceased[x]")], {"deceasedBoolean": False}),
        (
            [operation("add", "Patient.birthDate", AN_EXTENSION, name="extension")],
            {"_birthDate": {"extension": [EXTENSION]}},
        ),
        (
            [operation("add", "Patient", {"part": [{"name": "gender", "valueCode": "male"}]}, name="contact")],
            {"contact": [{"gender": "male"}]},
        ),
        (
            [
                operation(
                    "add",
                    "Patient",
                    {
                        "part": [
                            {"name": "name", "valueHumanName": {"family": "Berg"}},
                            {"name": "telecom", "valueContactPoint": {"value": "1"}},
                            {"name": "telecom", "part": [{"name": "value", "valueString": "2"}]},
                        ]
                    },
                    name="contact",
                )
            ],
            {"contact": [{"name": {"family": "Berg"}, "telecom": [{"value": "1"}, {"value": "2"}]}]},
        ),
        (
            [operation("add", "Patient", {"resource": {"resourceType": "Basic", "id": "b"}}, name="contained")],
            {"contained": [{"resourceType": "Basic", "id": "b"}]},
        ),
        (
            [operation("insert", "Patient.identifier", {"valueIdentifier": THIRD}, index=1)],
            {"identifier": [FIRST, THIRD, SECOND]},
        ),
        (
            [operation("insert", "Patient.identifier", {"valueIdentifier": THIRD}, index=2)],
            {"identifier": [FIRST, SECOND, THIRD]},
        ),
        (
            [operation("insert", "Patient.name", {"valueHumanName": {"family": "B"}}, index=0)],
            {"name": [{"family": "B"}]},
        ),
        ([operation("delete", "Patient.birthDate")], {"birthDate": None}),
        ([operation("delete", "Patient.gender")], {}),
        ([operation("delete", "Patient.identifier[0]")], {"identifier": [SECOND]}),
        ([operation("delete", "Patient.identifier.where(value = '2')")], {"identifier": [FIRST]}),
        (
            [operation("delete", "Patient.identifier[0]"), operation("delete", "Patient.identifier[0]")],
            {"identifier": None},
        ),
        ([operation("replace", "Patient.birthDate", {"valueDate": "1930-01-01"})], {"birthDate": "1930-01-01"}),
        ([operation("replace", "birthDate", {"valueDate": "1930"})], {"birthDate": "1930"}),
        (
            [operation("replace", "Patient.identifier[1]", {"valueIdentifier": THIRD})],
            {"identifier": [FIRST, THIRD]},
        ),
        (
            [operation("replace", "Patient.identifier.where(value='1').value", {"valueString": "9"})],
            {"identifier": [{**FIRST, "value": "9"}, SECOND]},
        ),
        ([operation("move", "Patient.identifier", source=1, destination=0)], {"identifier": [SECOND, FIRST]}),
        (
            [
                operation("add", "Patient", {"valueHumanName": {"family": "B"}}, name="name"),
                operation("add", "Patient.name[0]", {"valueString": "Ada"}, name="given"),
            ],
            {"name": [{"family": "B", "given": ["Ada"]}]},
        ),
    ],
)
def test_operations(operations: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    before = copy.deepcopy(SMALL)
    expected = {name: value for name, value in {**SMALL, **changed}.items() if value is not None}
    assert patched(SMALL, *operations) == expected
    assert before == SMALL


def test_a_choice_changes_its_type() -> None:
    value = {"valueQuantity": {"value": Decimal("1.50"), "unit": "kg"}}
    replaced = patched(OBSERVATION, operation("replace", "Observation.component[1].value", value))
    assert replaced["component"][1] == {"code": OBSERVATION["component"][1]["code"], **value}
    assert str(replaced["component"][1]["valueQuantity"]["value"]) == "1.50"


def test_extensions_keep_their_primitives() -> None:
    nick = PATIENT["name"][1]["_given"][1]
    path = "Patient.name[1].given"
    inserted = patched(PATIENT, operation("insert", path, {"valueString": "Bea"}, index=0))["name"][1]
    assert inserted["given"] == ["Bea", "Ada", None]
    assert inserted["_given"] == [None, None, nick]
    moved = patched(PATIENT, operation("move", path, source=1, destination=0))["name"][1]
    assert (moved["given"], moved["_given"]) == ([None, "Ada"], [nick, None])
    deleted = patched(PATIENT, operation("delete", "Patient.name[1].given[1]"))["name"][1]
    assert deleted["given"] == ["Ada"]
    assert "_given" not in deleted
    added = patched(PATIENT, operation("add", "Patient.name[0].given[1]", AN_EXTENSION, name="extension"))
    assert added["name"][0]["_given"] == [None, {"extension": [EXTENSION]}]


def test_a_value_may_come_with_its_extension() -> None:
    value = {"valueDate": "1930-01-01", "_valueDate": {"extension": [EXTENSION]}}
    replaced = patched(SMALL, operation("replace", "Patient.birthDate", value))
    assert (replaced["birthDate"], replaced["_birthDate"]) == ("1930-01-01", {"extension": [EXTENSION]})


def test_what_becomes_empty_goes() -> None:
    resource = {"resourceType": "Patient", "active": True, "contact": [{"name": {"family": "B"}}]}
    assert patched(resource, operation("delete", "Patient.contact.name.family")) == {
        "resourceType": "Patient",
        "active": True,
    }


def test_elements_within_contained_resources_can_be_patched() -> None:
    changed = patched(PATIENT, operation("replace", "Patient.contained.where(id='org').name", {"valueString": "South"}))
    assert changed["contained"][0]["name"] == "South"
    resolved = patched(PATIENT, operation("delete", "Patient.managingOrganization.resolve().name"))
    assert "name" not in resolved["contained"][0]


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (operation("replace", "Patient.gender", {"valueCode": "male"}), "must select one element; it selects none"),
        (operation("replace", "Patient.identifier", VALUE), "must select one element; it selects 2"),
        (operation("delete", "Patient.identifier"), "must select one element; it selects 2"),
        (operation("add", "Patient.contact", VALUE, name="gender"), "must select one element; it selects none"),
        (operation("add", "Patient", {"valueDate": "2000"}, name="birthDate"), "birthDate is there already"),
        (operation("add", "Patient", {"valueDate": "2000"}, name="birthdate"), "did you mean birthDate?"),
        (operation("add", "Patient", {"valueString": "2000"}, name="deceased"), "deceased[x] cannot be string"),
        (operation("delete", "Patient.nmae"), "Patient has no element nmae; did you mean name?"),
        (operation("delete", "Patient.name.where(usage='old')"), "HumanName has no element usage"),
        (operation("delete", "Observation.status"), "Patient is no Observation"),
        (operation("delete", "Patient"), "the resource itself cannot be"),
        (operation("replace", "Patient", VALUE), "the resource itself cannot be"),
        (operation("insert", "Patient.identifier", VALUE, index=3), "index 3 is beyond the end of the list, 2"),
        (operation("insert", "Patient.birthDate", VALUE, index=0), "must select elements of one list"),
        (operation("insert", "Patient.gender", VALUE, index=0), "gender does not repeat; use add"),
        (operation("insert", "Patient.name.given", VALUE, index=0), "must select one element; it selects none"),
        (operation("move", "Patient.identifier", source=0, destination=2), "position 2 is outside the list of 2"),
        (operation("replace", "'text'", VALUE), "must select elements of this resource"),
        (operation("delete", "Patient.birthDate + 1"), "is not defined"),
        (operation("add", "Patient", {"valueId": "7"}, name="id"), "cannot change id"),
    ],
)
def test_what_does_not_fit_the_resource(op: dict[str, Any], message: str) -> None:
    before = copy.deepcopy(SMALL)
    with pytest.raises(Invalid) as caught:
        patched(SMALL, op)
    assert message in str(caught.value)
    assert caught.value.issues[0].expression
    assert before == SMALL


GOOD = operation("delete", "Patient.gender")


@pytest.mark.parametrize(
    ("parameters", "expression", "message"),
    [
        ([], "Parameters", "is a Parameters resource"),
        ({"resourceType": "Patient"}, "Parameters", "is a Parameters resource"),
        ({"resourceType": "Parameters"}, "Parameters.parameter", "no parameter called operation"),
        ({"parameter": [GOOD, {"name": "op"}]}, "Parameters.parameter[1]", "called operation"),
        ({"parameter": [{"name": "operation"}]}, "Parameters.parameter[0].part", "There are no parts"),
        ({"parameter": [{"name": "operation", "part": [3]}]}, "Parameters.parameter[0].part[0]", "needs a name"),
        ({"parameter": [operation("merge", "a")]}, "Parameters.parameter[0]", "type must be one of add, insert"),
        ({"parameter": [operation("add", "a")]}, "Parameters.parameter[0]", "add needs a part called name"),
        ({"parameter": [operation("move", "a", source=1)]}, "Parameters.parameter[0]", "part called destination"),
        (
            {"parameter": [operation("move", "a", source=-1, destination=0)]},
            "Parameters.parameter[0].part[2]",
            "from 0",
        ),
        ({"parameter": [operation("delete", "a.b(")]}, "Parameters.parameter[0]", "path: Expected an expression"),
        ({"parameter": [operation("delete", "name.frob()")]}, "Parameters.parameter[0]", "no function frob()"),
        ({"parameter": [operation("delete", "a", colour="x")]}, "Parameters.parameter[0].part[2]", "has the parts"),
        ({"parameter": [operation("replace", "a", {})]}, "Parameters.parameter[0].part[2]", "needs one value[x]"),
        (
            {"parameter": [operation("replace", "a", {"valueString": "x", "valueCode": "x"})]},
            "Parameters.parameter[0].part[2]",
            "needs one value[x]",
        ),
        (
            {"parameter": [operation("replace", "a", {"resource": {"resourceType": "Frob"}})]},
            "Parameters.parameter[0].part[2].resource",
            "resourceType of FHIR R4",
        ),
        (
            {"parameter": [operation("replace", "a", {"valueString": None})]},
            "Parameters.parameter[0].part[2]",
            "has no value",
        ),
    ],
)
def test_what_is_no_patch(parameters: Any, expression: str, message: str) -> None:
    body = {"resourceType": "Parameters", **parameters} if isinstance(parameters, dict) else parameters
    with pytest.raises(BadRequest) as caught:
        patch_resource(SMALL, body)
    assert message in str(caught.value)
    assert caught.value.issues[0].expression == expression


def test_one_operation_failing_undoes_all() -> None:
    before = copy.deepcopy(SMALL)
    with pytest.raises(Invalid) as caught:
        patched(SMALL, operation("delete", "Patient.birthDate"), operation("replace", "Patient.gender", VALUE))
    assert caught.value.issues[0].expression == "Parameters.parameter[1]"
    assert before == SMALL


def test_limits() -> None:
    with pytest.raises(TooLarge):
        patched(SMALL, *[GOOD] * (MAX_OPERATIONS + 1))
    many = {"resourceType": "Patient", "name": [{"given": ["x"] * 100}] * 100}
    with pytest.raises(Invalid, match="too many elements"):
        patched(many, *[operation("delete", "Patient.name.given.where(length() > 5)")] * 100)
    # A short expression for 9 ** 21 items.
    nested = "(1|2|3|4|5|6|7|8|9)" + ".select((1|2|3|4|5|6|7|8|9)" * 20 + ")" * 20
    with pytest.raises(Invalid, match="too many elements"):
        patched(SMALL, operation("delete", nested))


PATHS = st.sampled_from(
    ["Patient", "Patient.name", "Patient.name[0]", "Patient.name.given", "Patient.name[1].given", "Patient.birthDate",
     "Patient.telecom.where(system='phone')", "Patient.descendants()", "Patient.contained", "Patient.extension.value",
     "Patient.birthDate.extension", "Patient.generalPractitioner", "Patient.deceased", "Patient.contact.name.family"]
)  # fmt: skip
VALUES = st.sampled_from(
    [{"valueString": "x"}, {"valueHumanName": {"family": "Z"}}, AN_EXTENSION, {"valueBoolean": True},
     {"valueQuantity": {"value": 1}}, {"part": [{"name": "family", "valueString": "p"}]}]
)  # fmt: skip
NAMES = st.sampled_from(["name", "given", "extension", "deceased", "value", "active", "contact", "family", "id"])
NUMBERS = st.integers(0, 3)
OPERATIONS = st.one_of(
    st.builds(lambda p, v, n: operation("add", p, v, name=n), PATHS, VALUES, NAMES),
    st.builds(lambda p, v, i: operation("insert", p, v, index=i), PATHS, VALUES, NUMBERS),
    st.builds(lambda p: operation("delete", p), PATHS),
    st.builds(lambda p, v: operation("replace", p, v), PATHS, VALUES),
    st.builds(lambda p, s, d: operation("move", p, source=s, destination=d), PATHS, NUMBERS, NUMBERS),
)


def _blanks(value: Any, key: str = "") -> list[str]:
    if isinstance(value, dict):
        found = [key] if not value else []
        return found + [blank for name, inner in value.items() for blank in _blanks(inner, name)]
    if isinstance(value, list):
        found = [key] if not value or all(item is None for item in value) else []
        return found + [blank for inner in value if inner is not None for blank in _blanks(inner, key)]
    return [key] if value is None else []


@given(st.lists(OPERATIONS, min_size=1, max_size=4))
def test_a_patch_applies_or_is_refused_and_leaves_nothing_blank(operations: list[dict[str, Any]]) -> None:
    resource = {name: value for name, value in PATIENT.items() if value is not None}
    before = copy.deepcopy(resource)
    try:
        result = patched(resource, *operations)
    except FhirError as error:
        assert error.status in (400, 422)  # noqa: PT017
    else:
        assert _blanks(result) == []
        assert result["resourceType"] == "Patient"
    assert resource == before


@given(st.integers(0, 2), st.integers(0, 2))
def test_moving_there_and_back_is_nothing(source: int, destination: int) -> None:
    there = operation("move", "Patient.generalPractitioner", source=source, destination=destination)
    back = operation("move", "Patient.generalPractitioner", source=destination, destination=source)
    assert patched(PATIENT, there, back)["generalPractitioner"] == PATIENT["generalPractitioner"]
