"""Concepts and their hierarchy. https://hl7.org/fhir/R4/codesystem.html"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest
from fhir_server.terminology import budget
from fhir_server.terminology.budget import Budget
from fhir_server.terminology.code_system import CodeSystem, PropertyValue
from tests.unit.terminology.documents import code_system, concept, hierarchy

ANIMALS = (
    concept("animal", concept("dog", concept("poodle"), concept("husky")), concept("cat", concept("siamese"))),
    concept("plant"),
)


def test_nesting_is_subsumption() -> None:
    found = hierarchy(code_system("urn:a", *ANIMALS))
    assert list(found.concepts) == ["animal", "dog", "poodle", "husky", "cat", "siamese", "plant"]
    assert found.below("dog", Budget()) == {"dog", "poodle", "husky"}
    assert found.above("siamese", Budget()) == {"siamese", "cat", "animal"}
    assert found.below("plant", Budget()) == found.above("plant", Budget()) == {"plant"}
    assert set(found.children("animal")) == {"dog", "cat"}
    assert set(found.parents("animal")) == set()


@pytest.mark.parametrize(
    ("meaning", "below"),
    [("is-a", "animal dog"), ("classified-with", "animal dog"), ("grouped-by", "animal"), ("part-of", "animal")],
)
def test_only_some_hierarchies_subsume(meaning: str, below: str) -> None:
    document = code_system("urn:a", concept("animal", concept("dog")), hierarchyMeaning=meaning)
    assert " ".join(sorted(hierarchy(document).below("animal", Budget()))) == below


def test_parents_and_children_by_property() -> None:
    standard = "http://hl7.org/fhir/concept-properties#"
    document = code_system(
        "urn:a",
        concept("a", child="b"),
        concept("b"),
        concept("c", parent="b"),
        concept("d", above="c"),
        concept("e", subsumedBy="d"),
        concept("f", sort="a"),
        hierarchyMeaning="grouped-by",
        property=[{"code": "above", "uri": standard + "parent"}, {"code": "sort", "uri": standard + "itemWeight"}],
    )
    assert hierarchy(document).below("a", Budget()) == set("abcde")
    assert hierarchy(document).above("e", Budget()) == set("abcde")


def test_circles_end_and_unknown_codes_are_left_out() -> None:
    document = code_system(
        "urn:a", concept("a", parent="c"), concept("b", parent="a"), concept("c", parent="b"), concept("d", parent="x")
    )
    found = hierarchy(document)
    assert found.below("a", Budget()) == found.above("a", Budget()) == set("abc")
    assert found.above("d", Budget()) == {"d"}
    assert found.below("a-self", Budget()) == set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"code":"p","valueCode":"x"}', "x"), ('{"code":"p","valueCoding":{"system":"s","code":"x"}}', "x"),
        ('{"code":"p","valueString":"a b"}', "a b"), ('{"code":"p","valueInteger":7}', "7"),
        ('{"code":"p","valueBoolean":false}', "false"), ('{"code":"p","valueDateTime":"2020"}', "2020"),
        ('{"code":"p","valueDecimal":1.50}', "1.50"), ('{"code":"p"}', ""),
    ],
)  # fmt: skip
def test_values_of_properties(value: str, text: str) -> None:
    assert msgspec.json.decode(value, type=PropertyValue).text == text


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_STEPS", 5)
    with pytest.raises(BadRequest, match="too many steps") as refused:
        hierarchy(code_system("urn:a", *ANIMALS))
    assert refused.value.issues[0].code == "too-costly"


def test_a_deep_tree_needs_no_deep_stack() -> None:
    inner: dict[str, Any] = {"code": "c0"}
    for number in range(1, 300):
        inner = {"code": f"c{number}", "concept": [inner]}
    found = hierarchy(code_system("urn:a", inner))
    assert len(found.above("c0", Budget())) == 300


EDGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12)


@given(EDGES)
def test_above_and_below_are_each_other_s_converse(edges: list[tuple[str, str]]) -> None:
    concepts = [
        {
            "code": code,
            "property": [{"code": "parent", "valueCode": parent} for child, parent in edges if child == code],
        }
        for code in "abcdef"
    ]
    found = hierarchy(code_system("urn:a", *concepts))
    # The transitive closure by squaring, over all pairs.
    reach = {(code, code) for code in "abcdef"} | set(edges)
    for _ in range(4):
        reach |= {(a, d) for a, b in reach for c, d in reach if b == c}
    for code in "abcdef":
        assert found.above(code, Budget()) == {parent for child, parent in reach if child == code}
        assert found.below(code, Budget()) == {child for child, parent in reach if parent == code}


def test_other_elements_are_skipped() -> None:
    read = msgspec.json.decode(
        b'{"url":"u","text":{"div":"<p/>"},"concept":[{"code":"a","designation":[{}]}]}', type=CodeSystem
    )
    assert (read.url, read.concept[0].code) == ("u", "a")
