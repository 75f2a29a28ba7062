"""Expressions of clients: each is refused with its place, or indexed; nothing else happens, whatever the resource is.
https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.errors import Invalid
from fhir_server.search import expression_values
from fhir_server.search.custom import definition
from fhir_server.search.index import extract
from fhir_server.search.registries import parameters_of
from fhir_server.search.registry import Registry
from fhir_server.store.search_parameters import Entry
from tests.factories.full_resources import full
from tests.unit.search.test_custom import resource
from tests.unit.search.test_expression_values import HASHER

PIECES = (
    "Patient", "Observation", "Resource", "name", "given", "family", "birthDate", "extension", "value",
    "code", "coding", "component", "id", "contained", "subject", "%resource", "%context", "$this", "$index",
    "$total", "'x'", "'\"'", "'\\''", "'\\u0000'", "1", "0", "1.5", "true", "@2020", "@T10:00", "4 'kg'",
    "3 days", ".", ".", ".", "(", ")", "[0]", "[1]", "|", "&", "=", "!=", "and", "or", "is", "as", "in", "+",
    "-", "*", "/", "where(", "exists()", "first()", "resolve()", "ofType(", "extension(", "select(",
    "repeat(", "count()", "lower()", "toString()", "descendants()", "children()", "matches(",
    "replaceMatches(", "iif(", ",", "aggregate(", "`a\"b`", "``", "{}",
)  # fmt: skip
TYPES = ("token", "string", "date", "number", "quantity", "reference", "uri")
RESOURCES = [full(name, turn) for name in ("Patient", "Observation", "Bundle") for turn in range(6)]


@pytest.fixture(autouse=True, scope="module")
def no_defects() -> Iterator[None]:
    """A defect of the engine, which a clinic's writes survive, does not pass here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expression_values.log, "error", lambda text, exc_info: pytest.fail(repr(exc_info)))
        yield


def tried(expression: str, kind: str, base: str) -> bool:
    """Whether the expression is taken; then it is used on resources of its type."""
    try:
        found = definition(resource(expression=expression, type=kind, base=[base], target=["Patient"]))
    except Invalid as error:
        if not all(issue.expression.startswith("SearchParameter.") and issue.diagnostics for issue in error.issues):
            raise
        return False
    assert found is not None
    registry = Registry(tuple(parameters_of(Entry(found, "own", False, "active", "", "", 0, 0))))
    for one in RESOURCES:
        if one["resourceType"] == base:
            extract(one, HASHER, registry)
    return True


@given(
    st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(TYPES), st.sampled_from(("Patient", "Observation"))
)
@settings(max_examples=700)
def test_any_pieces(pieces: list[str], kind: str, base: str) -> None:
    tried("".join(pieces), kind, base)
    tried(" ".join(pieces), kind, base)


STEPS = (
    ".name", ".given", ".family", ".use", ".birthDate", ".extension", ".extension('x')", ".value", ".id", ".contained",
    ".telecom", ".code", ".coding", ".component", ".status", ".subject", ".reference", ".identifier", ".period",
    ".where(true)", ".where($this = 'a')", ".where(use = 'a')", ".where(resolve() is Patient)", ".where(id.exists())",
    ".first()", ".last()", ".tail()", ".single()", "[0]", "[7]", ".count()", ".exists()", ".empty()", ".not()",
    ".ofType(string)", ".ofType(Quantity)", ".ofType(dateTime)", ".as(code)", ".lower()", ".toString()", ".length()",
    ".toDate()", ".toDateTime()", ".toDecimal()", ".toInteger()", ".toQuantity()", ".toChars()", ".ln()",
    ".power(1000)",
    ".select($this & 'x')", ".select(id)", ".children()", ".descendants()", ".repeat(children())", ".resolve()",
    ".matches('a')", ".replace('', 'b')", ".substring(1)", ".trace('t')", ".distinct()", ".hasValue()", " is string",
    " = 'a'", " > 5", " | 'x'", " & 'y'", " + 1", " + 3 days", " / 0", " * 1e0", " in (1 | 2)", ".join(',')",
)  # fmt: skip
taken: set[str] = set()


@given(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=5),
    st.sampled_from(TYPES),
    st.sampled_from(("Patient", "Observation", "Bundle")),
)
@settings(max_examples=2_000)
def test_any_steps(steps: list[str], kind: str, base: str) -> None:
    expression = base + "".join(steps)
    if tried(expression, kind, base):
        taken.add(expression)


def test_some_were_taken() -> None:
    assert len(taken) > 100


@given(st.text(max_size=40), st.sampled_from(TYPES))
def test_any_text(text: str, kind: str) -> None:
    tried(text, kind, "Patient")
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    tried(f"Patient.name.where(family = '{quoted}').use", kind, "Patient")
    tried(f"Patient.extension('{quoted}').value.ofType(string)", kind, "Patient")


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.name" + ".where(true)" * 60,
        "(" * 200 + "Patient.name.use" + ")" * 200,
        " | ".join(["Patient.name.use"] * 200),
        "Patient.name.use & " * 150 + "'x'",
        "Patient.descendants().descendants().descendants().count()",
        "Patient.repeat(contained | children()).count()",
        "Patient.name.family.matches('(a+)+$')",
        "Patient.name.given.aggregate($total & $total & $total & 'xxxxxxxxxxxxxxxx', 'x')",
        "Patient.name.select(%resource.descendants().select(%resource.descendants().count())).count()",
    ],
)
def test_expensive_ones(expression: str) -> None:
    begun = time.monotonic()
    big: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "a" * 200, "given": ["b"] * 20}] * 200}
    try:
        found = definition(resource(expression=expression))
    except Invalid:
        found = None
    if found is not None:
        registry = Registry(tuple(parameters_of(Entry(found, "own", False, "active", "", "", 0, 0))))
        extract(big, HASHER, registry)
    assert time.monotonic() - begun < 5
