"""The text of a _filter, read and written. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest
from fhir_server.search.filter_grammar import OPERATORS, Comparison, Expression, Logical, Not, Step, parse


def compared(path: str, operator: str, value: str, position: int, text: str) -> Comparison:
    return Comparison(tuple(Step(name) for name in path.split(".")), operator, value, position, text)


GIVEN = compared("given", "eq", "peter", 1, 'given eq "peter"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('given eq "peter"', GIVEN),
        ('  given eq "peter"  ', replace(GIVEN, position=3)),
        (r"owner:Patient.name co a|b", compared("owner:Patient.name", "co", "a|b", 1, r"owner:Patient.name co a|b")),
        ("_has:Task:owner:code eq 1", compared("_has:Task:owner:code", "eq", "1", 1, "_has:Task:owner:code eq 1")),
        (r'a eq "\"\\\u00e9\n) ]"', compared("a", "eq", '"\\é\n) ]', 1, r'a eq "\"\\\u00e9\n) ]"')),
        ("not(a eq 1)", Not(compared("a", "eq", "1", 5, "a eq 1"))),
        ("not  ( a eq 1 )", Not(compared("a", "eq", "1", 8, "a eq 1"))),
        ("((a eq 1))", compared("a", "eq", "1", 3, "a eq 1")),
    ],
)  # fmt: skip
def test_what_a_filter_says(text: str, expected: Expression) -> None:
    assert parse(text) == expected


def test_and_and_or_bind_alike_from_left_to_right() -> None:
    a, b, c, d = (f"{name} eq 1" for name in "abcd")
    written = f"{a} or {b} or {c} and {d} or {a}"
    assert shape(parse(written)) == ("or", ("and", ("or", "a", "b", "c"), "d"), "a")
    assert shape(parse(f"{a} or {b} or ({c} and not ({d}))")) == ("or", "a", "b", ("and", "c", ("not", "d")))


def test_a_condition_in_brackets_belongs_to_its_step() -> None:
    found = parse('subject:Patient[name co "x" and gender eq male].general-practitioner.name sw y')
    assert isinstance(found, Comparison)
    assert [step.name for step in found.path] == ["subject:Patient", "general-practitioner", "name"]
    assert found.path[0].condition is not None
    assert shape(found.path[0].condition) == ("and", "name", "gender")


def shape(found: Expression) -> object:
    match found:
        case Logical(operator=operator, parts=parts):
            return (operator, *(shape(part) for part in parts))
        case Not(part=part):
            return ("not", shape(part))
        case Comparison(path=path):
            return path[0].name
    raise AssertionError(found)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 1, "a search parameter is needed"),
        ("   ", 4, "a search parameter is needed"),
        ("given", 6, "a space and an operator are needed"),
        ("given ", 7, "an operator is needed here, one of eq ne"),
        ("given equals x", 7, "an operator is needed here, one of eq ne"),
        ("given EQ x", 7, "did you mean 'eq'?"),
        ("given eq", 9, "a space and a value are needed behind eq"),
        ("given eq ", 10, "a value is needed"),
        ("given eq )", 10, "a value is needed"),
        ('given eq "x', 10, "has no end"),
        ('given eq "x"y', 13, "a space is needed behind a value"),
        (r'given eq "\x"', 10, "a backslash in a string"),
        (r'given eq "\ud800"', 10, "half of a surrogate pair"),
        (r'given eq "\u0000"', 10, "U+0000"),
        ('given eq ""', 10, "one character or more"),
        ("given eq x family eq y", 12, "'and' or 'or' is needed between two tests"),
        ("given eq x and", 15, "a search parameter is needed"),
        ("given eq x)", 11, "'and' or 'or' is needed"),
        ("(given eq x", 12, "')' or a logical operator"),
        ("not given eq x", 5, "an operator is needed here"),
        ("a[b eq c] eq d", 10, "followed by '.'"),
        ("a[b eq c.d eq e", 12, "']' or a logical operator"),
        ("a. eq b", 3, "a search parameter is needed"),
        ("1 eq b", 1, "a search parameter is needed"),
        ("(" * 21 + "a eq b" + ")" * 21, 22, "nested deeper than 20"),
        ("not(" * 5000, 85, "nested deeper than 20"),
        ("a[" * 5000, 43, "nested deeper than 20"),
        ("a." * 5000, 43, "longer than 20 names"),
        (" and ".join(["a eq b"] * 101), 1101, "more than 100 tests"),
    ],
)
def test_a_refusal_says_where_and_what_would_be_right(text: str, place: int, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(text)
    assert str(refused.value).startswith(f"_filter, character {place}: ")
    assert message in str(refused.value)


names = st.from_regex(r"[a-z_][a-z0-9-]{0,8}(:[A-Z][a-z]{1,6})?", fullmatch=True).filter(lambda name: name != "not")
values = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)


def comparisons(conditions: st.SearchStrategy[Expression] | st.SearchStrategy[None]) -> st.SearchStrategy[Expression]:
    before = st.lists(st.builds(Step, names, conditions), max_size=2)
    paths = st.builds(lambda steps, last: (*steps, Step(last)), before, names)
    return st.builds(Comparison, paths, st.sampled_from(OPERATORS), values, st.just(0), st.just(""))


def grown(smaller: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    logical = st.builds(Logical, st.sampled_from(["and", "or"]), st.lists(smaller, min_size=2, max_size=3).map(tuple))
    return logical.map(flat) | st.builds(Not, smaller) | comparisons(smaller | st.none())


def flat(found: Logical) -> Logical:
    """What is read from left to right has no part of the same operator in the first place."""
    first = found.parts[0]
    if isinstance(first, Logical) and first.operator == found.operator:
        return Logical(found.operator, (*first.parts, *found.parts[1:]))
    return found


expressions = st.recursive(comparisons(st.none()), grown, max_leaves=8)


def written(found: Expression) -> str:
    match found:
        case Logical(operator=operator, parts=parts):
            return f" {operator} ".join(f"({written(part)})" for part in parts)
        case Not(part=part):
            return f"not ({written(part)})"
        case Comparison(path=path, operator=operator, value=value):
            steps = (step.name + (f"[{written(step.condition)}]" if step.condition else "") for step in path)
            bare = not any(character.isspace() or character in ')]"' for character in value)
            return f"{'.'.join(steps)} {operator} {value if bare else json.dumps(value)}"
    raise AssertionError(found)


def placeless(found: Expression) -> Expression:
    match found:
        case Logical(operator=operator, parts=parts):
            return Logical(operator, tuple(placeless(part) for part in parts))
        case Not(part=part):
            return Not(placeless(part))
        case Comparison(path=path):
            steps = tuple(Step(s.name, placeless(s.condition) if s.condition else None) for s in path)
            return replace(found, path=steps, position=0, text="")
    raise AssertionError(found)


@given(expressions)
def test_what_is_written_is_read_again(expression: Expression) -> None:
    assert placeless(parse(written(expression))) == expression


@given(st.text(st.sampled_from(list('ab.:[]()"\\ eqnoadr1|,\u00a0'))) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except BadRequest as refused:
        assert str(refused).startswith("_filter, character ")  # noqa: PT017 - either way is right
    else:
        assert placeless(parse(written(placeless(found)))) == placeless(found)
