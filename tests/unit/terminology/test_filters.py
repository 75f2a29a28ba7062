"""The filters of value sets. https://hl7.org/fhir/R4/valueset-filter-operator.html"""

from __future__ import annotations

import time

import pytest

from fhir_server.errors import BadRequest
from fhir_server.terminology import filters
from fhir_server.terminology.budget import Budget
from fhir_server.terminology.value_set import Filter
from tests.unit.terminology.documents import code_system, concept, hierarchy

HUES = hierarchy(
    code_system(
        "urn:hues",
        concept("warm", concept("red", concept("pink", mix="white"), mix="none"), concept("orange", mix="yellow")),
        concept("cold", concept("blue", inactive=True), concept("blu", status="retired")),
        property=[
            {"code": "mix", "type": "code"},
            {"code": "status", "type": "code"},
            {"code": "note", "type": "string"},
        ],
    )
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("concept is-a warm", "orange pink red warm"),
        ("code is-a red", "pink red"),
        ("concept descendent-of warm", "orange pink red"),
        ("concept is-not-a warm", "blu blue cold"),
        ("concept generalizes pink", "pink red warm"),
        ("concept is-a nothing", ""),
        ("concept is-not-a nothing", "blu blue cold orange pink red warm"),
        ("concept = red", "red"),
        ("code in red,pink, blue", "blue pink red"),
        ("concept not-in red,pink,blue", "blu cold orange warm"),
        ("mix = white", "pink"),
        ("mix in white,yellow", "orange pink"),
        ("mix not-in white,yellow", "blu blue cold red warm"),
        ("mix exists true", "orange pink red"),
        ("mix exists false", "blu blue cold warm"),
        ("note exists true", ""),
        ("code regex b.*", "blu blue"),
        ("code regex blu", "blu"),
        ("mix regex (white|yellow)", "orange pink"),
        ("display = The red", "red"),
        ("display regex The p.*", "pink"),
        ("parent = red", "pink"),
        ("child = pink", "red"),
        ("parent exists false", "cold warm"),
        ("child exists true", "cold red warm"),
        ("inactive = true", "blue"),
        ("inactive = false", "blu cold orange pink red warm"),
        ("inactive exists true", "blue"),
        ("status = retired", "blu"),
    ],
)
def test_each_operator(wanted: str, expected: str) -> None:
    name, op, value = wanted.split(" ", 2)
    found = filters.selected(Filter(name, op, value), HUES, Budget(), "urn:vs")
    assert " ".join(sorted(found)) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Filter("mix", "is-a", "red"), "compares the property 'concept' only"),
        (Filter("mixx", "=", "red"), "does not define. Known: child, code, concept, display, inactive, mix"),
        (Filter("mix", "exists", "yes"), "takes true or false"),
        (Filter("mix", "regex", "(a"), "regular expression that cannot be read"),
        (Filter("mix", "regex", "(a{1000}){1000}"), "regular expression that cannot be read"),
        (Filter("mix", "child-of", "red"), "is not known"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(wanted: Filter, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        filters.selected(wanted, HUES, Budget(), "urn:vs")
    assert message in str(refused.value)
    assert "urn:vs" in str(refused.value)
    assert refused.value.issues[0].code == "not-supported"


def test_a_regular_expression_takes_time_in_proportion_to_the_text() -> None:
    system = hierarchy(code_system("urn:a", {"code": "a" * 30_000 + "!"}))
    started = time.process_time()
    assert not filters.selected(Filter("code", "regex", "(a|aa|a?)+"), system, Budget(), "urn:vs")
    assert time.process_time() - started < 2


def test_inactive_concepts() -> None:
    assert {one.code for one in HUES if filters.is_inactive(one)} == {"blue", "blu"}
