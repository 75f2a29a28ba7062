"""Variables are taken as they are declared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.graphql.document import read
from fhir_server.graphql.problems import RequestError
from fhir_server.graphql.values import Variables, text


def variables(declared: str, **given: Any) -> Variables:
    return Variables(read(f"query({declared}) {{ id }}", "").operation, given)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Int", 1),
        ("Float", 1),
        ("Float", Decimal("1.5")),
        ("String", "x"),
        ("Boolean", True),
        ("ID", "x"),
        ("ID", 7),
        ("token", "a|b"),
        ("[String!]!", ["x"]),
        ("[Int]", [1, None]),
        ("String", None),
    ],
)
def test_values_that_fit(kind: str, value: Any) -> None:
    found = variables(f"$a: {kind}", a=value)
    assert found.value(read("{ id(x: $a) }", "").operation.selection_set.selections[0].arguments[0].value) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Int", "1"),
        ("Int", True),
        ("Int", Decimal("1.0")),
        ("String", 1),
        ("Boolean", 1),
        ("ID!", None),
        ("[Int!]", [None]),
        ("[Int]", ["x"]),
        ("String", {"a": 1}),
        ("token", []),
    ],
)
def test_values_that_do_not(kind: str, value: Any) -> None:
    with pytest.raises(RequestError):
        variables(f"$a: {kind}", a=value)


def test_defaults_and_what_is_missing() -> None:
    variables('$a: String = "x", $b: Int')
    for declared in ("$a: String!", "$a: Int, $a: Int"):
        with pytest.raises(RequestError):
            variables(declared)


def test_values_as_texts() -> None:
    assert [text(value) for value in (True, False, 1, Decimal("1.50"), "x")] == ["true", "false", "1", "1.50", "x"]
