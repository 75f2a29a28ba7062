"""Codes looked up for a search, among a tenant's ValueSets and CodeSystems. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, FhirError, NotFound
from fhir_server.interactions import value_sets
from fhir_server.interactions.context import Context
from fhir_server.interactions.value_sets import resolve, resolve_query, version_order
from fhir_server.r4 import json
from fhir_server.r4.compose import decompose
from fhir_server.search.index import extract
from fhir_server.search.query import (
    Chain,
    Clause,
    Combination,
    Filter,
    Has,
    InCompartment,
    Negation,
    SearchQuery,
    Selection,
    clauses,
)
from fhir_server.search.registry import parameters
from fhir_server.store.resources import Write
from fhir_server.terminology import budget
from tests.unit.search.searching import clause
from tests.unit.terminology.documents import code_system, concept, filtered, listed, value_set

A, VS = "http://example.org/animals", "http://example.org/ValueSet/pets"
ANIMALS = code_system(A, concept("animal", concept("dog", concept("poodle")), concept("cat")))


@pytest.fixture
def ctx(context: Callable[..., Context]) -> Context:
    return context()


def store(ctx: Context, *resources: dict[str, Any]) -> None:
    for number, resource in enumerate(resources):
        resource = {"id": f"{resource['resourceType'].lower()}-{number}", **resource}
        meta, body = decompose(resource)
        rows = extract(resource, ctx.store.hasher)
        ctx.store.put(
            Write(resource["resourceType"], resource["id"], "PUT", None, json.dumps(meta or {}), json.dumps(body), rows)
        )


def codes(ctx: Context, query: str, resource_type: str = "Observation") -> str:
    """The codes that a clause stands for, without their systems."""
    (found,) = resolve(ctx, (clause(resource_type, query),))
    assert isinstance(found, Clause)
    assert found.codes is not None
    return " ".join(code for _, code in found.codes)


def test_value_sets_by_url_version_and_id(ctx: Context) -> None:
    store(
        ctx, ANIMALS,
        value_set(VS, filtered(A, ("concept", "is-a", "dog")), id="pets", version="1"),
        value_set(VS, listed(A, "cat"), version="2"),
        value_set(f"{VS},2", listed(A, "comma")),
    )  # fmt: skip
    assert codes(ctx, f"code:in={VS}") == "cat"
    assert codes(ctx, f"code:in={VS}|2") == codes(ctx, f"code:in={VS}\\|2") == "cat"
    assert codes(ctx, f"code:in={VS}|1") == "dog poodle"
    assert codes(ctx, "code:in=ValueSet/pets") == "dog poodle"
    assert codes(ctx, f"code:in={ctx.base_url}/ValueSet/pets") == "dog poodle"
    assert codes(ctx, f"code:in={VS},ValueSet/pets,{VS}|1") == "cat dog poodle"
    assert codes(ctx, f"code:in={VS}\\,2") == "comma"
    assert codes(ctx, f"code:not-in={VS}") == "cat"
    for unknown in (f"{VS}|3", "ValueSet/none", "http://other.org/fhir/ValueSet/pets", VS.upper()):
        with pytest.raises(NotFound, match="is not known here"):
            codes(ctx, f"code:in={unknown}")


def test_hierarchies(ctx: Context) -> None:
    store(ctx, ANIMALS)
    assert codes(ctx, f"code:below={A}|dog") == "dog poodle"
    assert codes(ctx, f"code:above={A}|poodle") == "animal dog poodle"
    assert codes(ctx, f"code:below={A}|dog,{A}|cat") == "dog poodle cat"
    with pytest.raises(NotFound, match="has no code cow"):
        codes(ctx, f"code:below={A}|cow")
    with pytest.raises(NotFound, match="The CodeSystem urn:x is not known here"):
        codes(ctx, "code:above=urn:x|cow")


def test_the_specification_s_own(ctx: Context) -> None:
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    assert codes(ctx, f"clinical-status:below={clinical}|active", "Condition") == "active recurrence relapse"
    assert codes(ctx, "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "Patient") == (
        "male female other unknown"
    )
    store(ctx, value_set("http://hl7.org/fhir/ValueSet/administrative-gender", listed(A, "own")))
    assert codes(ctx, "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "Patient") == "own"


def test_the_latest_of_several(ctx: Context) -> None:
    versions = ["1.9", "1.10", "1.10-beta", "0"]
    store(ctx, *(value_set(VS, listed(A, version), version=version) for version in versions))
    assert codes(ctx, f"code:in={VS}") == "1.10"
    store(ctx, *({**value_set(VS, listed(A, "r"), version="2"), "id": f"r{n}", "status": "retired"} for n in range(2)))
    assert codes(ctx, f"code:in={VS}") == "1.10"
    store(ctx, value_set(VS, listed(A, "newer"), version="1.10", date="2020", id="newer"))
    assert codes(ctx, f"code:in={VS}") == "newer"


def test_changes_are_seen_at_once(ctx: Context) -> None:
    for code in ("a", "b"):
        store(ctx, value_set(VS, listed(A, code)))
        assert codes(ctx, f"code:in={VS}") == code


def test_reading_them_needs_no_right_to_read_them(context: Callable[..., Context]) -> None:
    store(context(), value_set(VS, listed(A, "cat")))
    assert codes(context("system/Observation.s"), f"code:in={VS}") == "cat"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("code:in=pets", "the value is the URL of a ValueSet, with or without |version, or ValueSet/id"),
        ("code:not-in=#pets", "the value is the URL of a ValueSet"),
        ("code:below=dog", "the value of :below is system|code"),
        ("code:above=|dog", "the value of :above is system|code"),
        (f"code:above={A}|", "the value of :above is system|code"),
        (f"code:above={A}|dog|x", "the value of :above is system|code"),
    ],
)
def test_values_that_are_none(ctx: Context, query: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        codes(ctx, query)
    assert message in str(refused.value)
    assert query in str(refused.value)


def test_filters_at_any_depth(ctx: Context) -> None:
    store(ctx, value_set(VS, listed(A, "cat")))
    inner = clause("Observation", f"code:in={VS}")
    other = clause("Observation", "status=final")
    subject = parameters("Observation")["subject"]
    owner = InCompartment("Patient/1", (subject,), "")
    filters: tuple[Filter, ...] = (
        Chain(subject, (("Group", inner), ("Patient", other)), ""),
        Has(subject, Negation(inner, ""), ""),
        Combination("or", (other, inner, owner), ""),
        other,
        owner,
    )
    found = resolve(ctx, filters)
    looked_up = [one for part in found for one in clauses(part) if one.modifier]
    assert [one.codes for one in looked_up] == [((A, "cat"),)] * 3
    # Nothing else has changed.
    assert resolve(ctx, found[3:]) == filters[3:]
    assert [one.text for part in found for one in clauses(part)] == [
        one.text for part in filters for one in clauses(part)
    ]


def test_several_types_are_looked_up_once(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    store(ctx, value_set(VS, listed(A, "cat"), id="pets"))
    monkeypatch.setattr(budget, "MAX_DOCUMENTS", 2)
    types = ("Observation", "Condition", "Procedure", "AllergyIntolerance")
    written = [f"code:{modifier}={value}" for modifier in ("in", "not-in") for value in (VS, "ValueSet/pets")]
    query = SearchQuery(tuple(Selection(name, tuple(clause(name, one) for one in written)) for name in types))
    found = resolve_query(ctx, query)
    assert [one.codes for part in found.selections for one in part.filters] == [((A, "cat"),)] * 16  # type: ignore[union-attr]


def test_nothing_is_asked_of_the_store_without_such_a_modifier() -> None:
    filters = (clause("Observation", "code=1"), clause("ValueSet", "url:below=http://a.org"))
    query = SearchQuery((Selection("Observation", filters),))
    # A context without a store would fail if it were asked.
    assert resolve(None, filters) is filters  # type: ignore[arg-type]
    assert resolve_query(None, query) is query  # type: ignore[arg-type]


def test_hostile_value_sets_end(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    fan = [value_set(f"urn:{n}", {"valueSet": [f"urn:{m}" for m in range(n + 1, 20)]}) for n in range(19)]
    store(ctx, *fan, value_set("urn:19", listed(A, "a")))
    with pytest.raises(BadRequest, match="more than 16 deep"):
        codes(ctx, "code:in=urn:0")
    assert codes(ctx, "code:in=urn:8") == "a"
    monkeypatch.setattr(budget, "MAX_DOCUMENTS", 5)
    with pytest.raises(BadRequest, match="needs more than 5 ValueSets"):
        codes(ctx, "code:in=urn:8")
    big = [value_set(f"urn:big{n}", listed(A, *(f"{n}-{m}" for m in range(6_000))), id=f"big{n}") for n in range(2)]
    store(ctx, *big)
    assert len(codes(ctx, "code:in=urn:big0").split()) == 6_000
    with pytest.raises(BadRequest, match="stands for 12000 codes") as refused:
        codes(ctx, "code:in=urn:big0,urn:big1")
    assert refused.value.issues[0].code == "too-costly"


def test_content_that_cannot_be_read_is_refused(ctx: Context) -> None:
    resource = value_set(VS, listed(A, "a"))
    rows = extract(resource, ctx.store.hasher)
    body = json.dumps({**resource, "compose": {"include": "x"}, "resourceType": None})
    ctx.store.put(Write("ValueSet", "odd", "PUT", None, b"{}", body, rows))
    with pytest.raises(FhirError, match="in a form that cannot be evaluated"):
        codes(ctx, f"code:in={VS}")


VERSIONS = st.text(alphabet="019.-ab", max_size=8)


@given(VERSIONS, VERSIONS)
def test_versions_have_an_order(one: str, other: str) -> None:
    assert (version_order(one) < version_order(other)) or (version_order(one) >= version_order(other))
    numbers = [tuple(map(int, text.split("."))) for text in (one, other) if all(p.isdigit() for p in text.split("."))]
    if len(numbers) == 2:
        assert (version_order(one) < version_order(other)) is (numbers[0] < numbers[1])


def test_what_terminology_reads_is_two_types() -> None:
    assert value_sets.TERMINOLOGY.types == {"CodeSystem", "ValueSet"}
