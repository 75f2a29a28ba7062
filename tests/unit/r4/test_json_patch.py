"""JSON Patch against RFC 6902's own rules and an independent implementation."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, Invalid, TooLarge
from fhir_server.r4 import json
from fhir_server.r4.json_patch import MAX_OPERATIONS, PatchTestFailed, apply_patch, patch_resource, same


def operation(op: str, path: str, **others: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **others}


@pytest.mark.parametrize(
    ("document", "op", "expected"),
    [
        ({"a": 1}, operation("add", "/b", value=2), {"a": 1, "b": 2}),
        ({"a": [1, 3]}, operation("add", "/a/1", value=2), {"a": [1, 2, 3]}),
        ({"a": [1]}, operation("add", "/a/-", value=2), {"a": [1, 2]}),
        ({"a": [1]}, operation("add", "/a/1", value=2), {"a": [1, 2]}),
        ({"a": 1}, operation("add", "/a", value=[2]), {"a": [2]}),
        ({"a": 1}, operation("add", "", value={"b": 1}), {"b": 1}),
        ({"a": [1, 2]}, operation("remove", "/a/0"), {"a": [2]}),
        ({"a": 1, "b": 2}, operation("remove", "/a"), {"b": 2}),
        ({"a": [1, 2]}, operation("replace", "/a/1", value=3), {"a": [1, 3]}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, {"op": "move", "from": "/a/0", "path": "/a/2"}, {"a": [2, 3, 1]}),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"a/b": 1, "m~n": 2, "": 3}, operation("replace", "/a~1b", value=4), {"a/b": 4, "m~n": 2, "": 3}),
        ({"m~n": 2}, operation("remove", "/m~0n"), {}),
        ({"": 3}, operation("replace", "/", value=4), {"": 4}),
        ({"a": Decimal("1.00")}, operation("test", "/a", value=1), {"a": Decimal("1.00")}),
    ],
)
def test_operations(document: Any, op: dict[str, Any], expected: Any) -> None:
    assert apply_patch(document, [op]) == expected


@pytest.mark.parametrize(
    ("operations", "error", "message"),
    [
        ({}, BadRequest, "A JSON Patch is an array of operations"),
        ([3], BadRequest, "Operation 0 is no JSON object"),
        ([{"path": "/a"}], BadRequest, "Operation 0 needs an op"),
        ([operation("test", "/a", value=1), {"op": ["add"]}], BadRequest, "Operation 1 needs an op"),
        ([{"op": "add", "value": 1}], BadRequest, "needs a path"),
        ([operation("add", "/b")], BadRequest, "needs a value"),
        ([operation("add", "a", value=1)], BadRequest, "path is no JSON pointer"),
        ([operation("add", "/a~2", value=1)], BadRequest, "path is no JSON pointer"),
        ([operation("copy", "/b")], BadRequest, "needs a from"),
        ([operation("add", "/b", value=None)], BadRequest, "a null may stand in an array only"),
        ([operation("add", "/b", value={"c": None})], BadRequest, "a null may stand in an array only"),
        ([operation("add", "/x/y", value=1)], Invalid, "/x does not exist"),
        ([operation("remove", "/x")], Invalid, "/x does not exist"),
        ([operation("replace", "/x", value=1)], Invalid, "/x does not exist"),
        ([operation("add", "/l/3", value=1)], Invalid, "/l/3 does not exist: the array has 2"),
        ([operation("remove", "/l/-")], Invalid, "/l/- needs a position"),
        ([operation("add", "/l/01", value=1)], Invalid, "/l/01 needs a position"),
        ([operation("add", "/l/" + "9" * 5000, value=1)], Invalid, "needs a position"),
        ([operation("add", "/a/b", value=1)], Invalid, "/a is neither an object nor an array"),
        ([operation("test", "/a", value=True)], PatchTestFailed, "Operation 0 (test): /a has another value"),
        ([{"op": "move", "from": "/l", "path": "/l/0"}], BadRequest, "/l cannot move into itself"),
        ([operation("remove", "")], BadRequest, "cannot be removed"),
        ([operation("test", "/a", value=1)] * (MAX_OPERATIONS + 1), TooLarge, "operations"),
        ([operation("add", "/x", value="y" * 9_000_000)] * 2, TooLarge, "puts in more than"),
        ([operation("add", "/0" * 101, value=1)], BadRequest, "more than 100 steps"),
    ],
)
def test_refused(operations: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        apply_patch({"a": 1, "l": [1, 2]}, operations)
    assert message in str(caught.value)


def test_a_deep_value_is_refused() -> None:
    value: Any = 1
    for _ in range(150):
        value = [value]
    with pytest.raises(BadRequest, match="nested more than 100 levels"):
        apply_patch({}, [operation("add", "/a", value=value)])


def test_copies_of_copies_are_bounded() -> None:
    grow = {"op": "copy", "from": "/a", "path": "/a/-"}
    with pytest.raises((TooLarge, BadRequest)):
        apply_patch({"a": ["x" * 1000]}, [grow] * 100)


def test_a_failing_patch_changes_nothing() -> None:
    document = {"a": {"b": [1]}}
    value = {"c": [1]}
    operations = [operation("add", "/a/b/-", value=value), operation("add", "/a/b/1/c/-", value=2)]
    apply_patch(document, operations)
    assert document == {"a": {"b": [1]}}
    assert value == {"c": [1]}, "the patch may be applied again, after a conflict"
    with pytest.raises(PatchTestFailed):
        apply_patch(document, [*operations, operation("test", "/a", value=1)])
    assert document == {"a": {"b": [1]}}


PATIENT = {"resourceType": "Patient", "id": "1", "name": [{"family": "Berg"}], "multipleBirthInteger": 2}


def test_digits_are_kept() -> None:
    observation = json.parse(b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}')
    patched = patch_resource(observation, json.parse(b'[{"op":"add","path":"/low","value":0.010}]'))
    assert json.dumps(patched) == b'{"resourceType":"Observation","valueQuantity":{"value":1.00},"low":0.010}'


def test_what_comes_out_empty_is_taken_out() -> None:
    assert "name" not in patch_resource(PATIENT, [operation("remove", "/name/0/family")])
    patched = patch_resource(PATIENT, [operation("add", "/identifier", value=[])])
    assert "identifier" not in patched


@pytest.mark.parametrize(
    "op",
    [
        operation("replace", "/id", value="2"),
        operation("remove", "/id"),
        operation("replace", "/resourceType", value="Person"),
        operation("replace", "", value={"resourceType": "Person"}),
        operation("replace", "", value=[1]),
    ],
)
def test_type_and_id_stay(op: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        patch_resource(PATIENT, [op])


def test_nulls_in_arrays_stay_beside_their_extensions() -> None:
    name = {"given": ["Ada", None], "_given": [None, {"extension": [{"url": "u", "valueString": "v"}]}]}
    patient = {"resourceType": "Patient", "name": [copy.deepcopy(name)], "active": True}
    assert patch_resource(patient, [operation("replace", "/active", value=False)])["name"] == [name]


SCALARS = st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc/~"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc/~"), VALUES, max_size=4)
POINTERS = st.lists(st.sampled_from(["a", "b", "c", "~1", "~0", "0", "1", "2", "-"]), min_size=1, max_size=3).map(
    lambda tokens: "".join("/" + token for token in tokens)
)
OPERATIONS = st.one_of(
    st.builds(operation, st.sampled_from(["add", "replace", "test"]), POINTERS, value=VALUES),
    st.builds(operation, st.just("remove"), POINTERS),
    st.builds(
        lambda op, source, path: {"op": op, "from": source, "path": path},
        st.sampled_from(["move", "copy"]),
        POINTERS,
        POINTERS,
    ),
)


def _reference(document: Any, operations: list[dict[str, Any]]) -> Any:
    """What jsonpatch makes of it, None where it refuses, NotImplemented where it takes "-" or itself for a place."""
    for op in operations:
        source = op.get("from", "")
        if source and (source.endswith("/-") or (op["path"] + "/").startswith(source + "/")):
            return NotImplemented
        if op["op"] != "add" and "/-" in op["path"]:
            return NotImplemented
        if "/-/" in op["path"] or "/-/" in source:
            return NotImplemented
    try:
        return jsonpatch.apply_patch(document, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError, IndexError):
        return None


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=4))
def test_an_independent_implementation_gives_the_same(document: Any, operations: list[dict[str, Any]]) -> None:
    expected = _reference(document, operations)
    before = copy.deepcopy(document)
    try:
        ours: Any = apply_patch(document, operations)
    except (BadRequest, Invalid):
        ours = None
    assert document == before
    if expected is not NotImplemented:
        assert (ours is None) == (expected is None)
        assert ours is None or same(ours, expected)


@given(DOCUMENTS, DOCUMENTS)
def test_a_difference_applied_gives_the_other_document(first: Any, second: Any) -> None:
    assert same(apply_patch(first, jsonpatch.make_patch(first, second).patch), second)


@given(DOCUMENTS, st.sampled_from("xyz"), VALUES)
def test_add_then_remove_is_nothing(document: Any, name: str, value: Any) -> None:
    operations = [operation("add", f"/{name}", value=value), operation("remove", f"/{name}")]
    assert same(apply_patch(document, operations), document)
