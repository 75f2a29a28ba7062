"""fhir_server/search/types/text.py and search/text_places.py, through the tables of the store"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, TooLarge
from fhir_server.r4 import definitions
from fhir_server.search import text_places
from fhir_server.search.condition import Condition
from fhir_server.search.index import extract
from fhir_server.search.registry import parameter, parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.support import modifiers, where
from fhir_server.search.types import text
from fhir_server.store.index_rows import MAX_ROWS, IndexRows
from fhir_server.store.resources import Write, put
from tests.unit.search.searching import HASHER, Searching, clause

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def observation(resource_id: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": resource_id, "status": "final", **elements}


HEIGHT = observation(
    "height",
    text={"status": "generated", "div": f"<div {XHTML}><p>Tall<b>ness</b> of Jos&eacute;</p></div>"},
    code={"coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body Height"}], "text": "Stature"},
    subject={"reference": "Patient/1", "display": "Jos\u00e9 Mar\u00eda"},
    note=[{"text": "Measured *without* shoes, height in the morning"}],
)
WEIGHT = observation(
    "weight",
    code={"coding": [{"code": "29463-7", "display": "Body weight"}, {"code": "x", "display": "Height unknown"}]},
    valueCodeableConcept={"text": "\u7cd6\u5c3f\u75c5"},
    component=[{"code": {"text": "systolic"}, "valueString": "shoes on"}],
)
BARE = observation("bare", code={"coding": [{"system": "http://body.org", "code": "height"}]})
ANN = {
    "resourceType": "Patient",
    "id": "ann",
    "name": [{"text": "Ann van der Berg", "family": "van der Berg", "given": ["Ann"]}, {"given": ["Annie", None]}],
    "identifier": [{"type": {"text": "Hospital number"}, "value": "secret-77"}],
    "contact": [{"name": {"family": "Otherwise"}}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Contained Clinic"}],
    "extension": [{"url": "http://a.org", "valueString": "extended remark"}],
    "photo": [{"title": "Portrait", "data": "aGVpZ2h0"}],
}


@pytest.fixture
def filled(searching: Searching) -> Searching:
    searching.write(HEIGHT, WEIGHT, BARE, ANN)
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_text=tallness", "height"),
        ("_text=JOS\u00c9 tallness", "height"),
        ("_text=tall", ""),
        ("_text=shoes", ""),
        ("_text=body", ""),
        ("_content=tallness", "height"),
        ("_content=height", "height weight"),
        ("_content=body height", "height weight"),
        ("_content=shoes", "height weight"),
        ("_content=shoes stature", "height"),
        ("_content=maria", "height"),
        ("_content=stature,systolic", "height weight"),
        ("_content=stature,nothing", "height"),
        ("_content=body AND shoes", "height weight"),
        ("_content=\u75c5", "weight"),
        ("_content=\u5c3f\u75c5", "weight"),
        ("_content=8302", ""),
        ("_content=final", ""),
        ("_content=loinc", ""),
        ("code:text=height", "height weight"),
        ("code:text=body height", "height"),
        ("code:text=height body", "height"),
        ("code:text=stature", "height"),
        ("code:text=shoes", ""),
        ("code:text=systolic", ""),
        ("combo-code:text=systolic", "weight"),
        ("combo-code:text=body height,systolic", "height weight"),
        ("component-code:text=systolic", "weight"),
        ("value-concept:text=\u7cd6", "weight"),
        ("value-string:text=shoes", ""),
    ],
)
def test_observations(filled: Searching, query: str, expected: str) -> None:
    assert filled.find("Observation", query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name:text=berg", "ann"),
        ("name:text=Ann Berg", "ann"),
        ("name:text=an", ""),
        ("name:text=otherwise", ""),
        ("family:text=der", "ann"),
        ("family:text=annie", ""),
        ("given:text=annie", "ann"),
        ("identifier:text=hospital", "ann"),
        ("identifier:text=secret", ""),
        ("_content=otherwise", "ann"),
        ("_content=clinic contained", "ann"),
        ("_content=remark", "ann"),
        ("_content=portrait", "ann"),
        ("_content=secret", ""),
        ("_content=body", ""),
    ],
)
def test_patients(filled: Searching, query: str, expected: str) -> None:
    assert filled.find("Patient", query) == expected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('_content="body height"', "quotes"),
        ("_content=heig*", "*"),
        ("_content=body OR height", "commas"),
        ("_content=(body OR height) AND x", "commas"),
        ("_content=NOT body", "commas"),
        ("_content=body -height", "commas"),
        ("_content=...", "no word"),
        ("_content=AND", "no word"),
        ("_content=a,", "no word"),
        ("_content=" + " ".join(f"w{n}" for n in range(33)), "33 words"),
        ("_content=" + "\u7cd6" * 3 + " " + " ".join(map(str, range(100))), "too many"),
    ],
)
def test_values_that_are_refused(query: str, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        where(clause("Observation", query), SqlParameters(1), HASHER)
    assert said in str(refused.value)


VOCABULARY = ["body", "Height", "weight", "\u00c4rger", "aerger", "x1"]
texts = st.lists(st.sampled_from(VOCABULARY), max_size=4).map(" ".join)
observations = st.fixed_dictionaries(
    {},
    optional={
        "code": st.fixed_dictionaries({"text": texts, "coding": st.lists(st.builds(lambda t: {"display": t}, texts))}),
        "category": st.lists(st.builds(lambda t: {"text": t}, texts), max_size=2),
        "note": st.lists(st.builds(lambda t: {"text": t}, texts), max_size=2),
        "text": texts.map(lambda t: {"div": f"<div {XHTML}><p>{t.replace(' ', '</p><p>')}</p></div>"}),
        "subject": texts.map(lambda t: {"reference": "Patient/body", "display": t}),
    },
)


def plain(value: Any) -> list[str]:
    """Every text in a resource as sets of words, by looking at all of it: an evaluation that shares no code."""
    if isinstance(value, dict):
        return [t for name, item in value.items() if name not in ("reference", "id") for t in plain(item)]
    if isinstance(value, list):
        return [t for item in value for t in plain(item)]
    return [re.sub("<[^>]*>", " ", value).lower().replace("\u00e4", "a")]


def holds(texts: list[str], wanted: list[str], *, together: bool) -> bool:
    folded = [word.lower().replace("\u00c4", "a").replace("\u00e4", "a") for word in wanted]
    sets = [set(one.split()) for one in texts]
    if together:
        return any(set(folded) <= one for one in sets)
    return set(folded) <= set().union(*sets)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=st.lists(observations, min_size=1, max_size=6),
    wanted=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3),
)
def test_what_is_found_is_what_a_plain_evaluation_finds(
    searching: Searching, written: list[dict[str, Any]], wanted: list[str]
) -> None:
    names = [f"n{number}" for number in range(6)]
    for name in names:
        deletion = Write("Observation", name, "DELETE", None, None, None, IndexRows())
        put(searching.connection, searching.tenant_id, HASHER, deletion)
    searching.write(*({"resourceType": "Observation", "id": n, **o} for n, o in zip(names, written, strict=False)))
    for query, parts, together in (
        ("_content", ("code", "category", "note", "text", "subject"), False),
        ("_text", ("text",), False),
        ("code:text", ("code",), True),
        ("category:text", ("category",), True),
    ):
        expected = [
            name
            for name, one in zip(names, written, strict=False)
            if holds([t for part in parts if part in one for t in plain(one[part])] or [""], wanted, together=together)
        ]
        assert searching.find("Observation", f"{query}={' '.join(wanted)}") == " ".join(expected), query


def score(searching: Searching, resource_id: str, *queries: str) -> float:
    sql = SqlParameters(searching.tenant_id)
    column = text.score_sql([clause("Observation", query) for query in queries], sql, HASHER)
    statement = f"SELECT {column} FROM resource r WHERE r.tenant_id = $1 AND r.id = {sql.bind(resource_id, 'text')}"  # noqa: S608
    [(found,)] = searching._rows(statement, list(sql.values))
    return float(found)


def test_scores(filled: Searching) -> None:
    assert 0 < score(filled, "height", "_content=height") < 1
    assert score(filled, "height", "_content=body height") > score(filled, "weight", "_content=body tallness")
    assert score(filled, "bare", "_content=height") == 0
    assert score(filled, "height", "_text=tallness") == pytest.approx(score(filled, "height", "_content=tallness"))
    assert score(filled, "height", "_content=height,nothing") == score(filled, "height", "_content=height")
    both = score(filled, "height", "_content=height", "_text=nothing")
    assert both == pytest.approx(score(filled, "height", "_content=height") / 2)
    # A word by itself in a note weighs less than in a display of two words.
    assert score(filled, "height", "_content=morning") < score(filled, "height", "_content=body")


def test_without_a_scored_clause_there_is_no_score() -> None:
    assert text.score_sql([clause("Observation", "code:text=a")], SqlParameters(1), HASHER) == "NULL::float8"


def test_which_parameters_take_the_modifier() -> None:
    assert "text" in modifiers(parameters("Observation")["code"])
    assert "text" in modifiers(parameters("Patient")["address"])
    assert "text" in modifiers(parameters("Patient")["_tag"])
    for code in ("status", "_id", "_content", "_text"):
        assert "text" not in modifiers(parameters("Observation")[code])
    assert "text" not in modifiers(parameters("Patient")["active"])
    for resource_type in definitions.load().resource_types:
        for one in parameters(resource_type).values():
            if one.type == "string" and one.expression:
                assert text.has_text(one), f"{resource_type}.{one.code}"


def test_every_place_has_its_own_number() -> None:
    assert text_places.NARRATIVE not in {text_places.ELSEWHERE, text_places.number("text")}
    for resource_type in definitions.load().resource_types:
        seen: dict[int, str] = {}
        waiting = [text_places.root(resource_type)]
        while waiting:
            place = waiting.pop()
            for _, below in place.steps.values() if place.depth < 3 else ():
                if below.name and below is not place:
                    assert seen.setdefault(below.number, below.name) == below.name
                    waiting.append(below)


def test_a_text_of_too_many_words_is_refused() -> None:
    parts = [" ".join(f"w{n}x{m}" for m in range(12_000)) for n in range(MAX_ROWS // 10_000)]
    with pytest.raises(TooLarge):
        extract(observation("big", note=[{"text": part} for part in parts]), HASHER)


def test_full_text_may_be_off() -> None:
    assert extract(HEIGHT, HASHER, full_text=False).words is None
    words = extract(BARE, HASHER).words
    assert words is not None
    assert words.rows == {}


def test_conditions_name_the_tenant_and_no_value() -> None:
    sql = SqlParameters(7)
    condition = where(clause("Observation", "_content=body height"), sql, HASHER)
    assert isinstance(condition, Condition)
    assert condition.rids.count("i.tenant_id = $1") == 2
    assert all(not isinstance(value, str) for value in sql.values)
    assert parameter("Observation", "_content") is not None
