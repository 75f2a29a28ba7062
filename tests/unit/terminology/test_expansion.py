"""What value sets stand for, against a plain reading of the specification. https://hl7.org/fhir/R4/valueset.html"""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, FhirError, NotFound
from fhir_server.terminology import budget
from tests.unit.terminology.documents import code_system, codes, concept, expander, filtered, listed, value_set

A, B, VS = "urn:a", "urn:b", "urn:vs"
LETTERS = code_system(
    A, concept("a", concept("b", concept("c")), concept("d", inactive=True)), concept("e"), property=[{"code": "x"}]
)
WHOLE = {"system": A}


@pytest.mark.parametrize(
    ("composed", "expected"),
    [
        (value_set(VS, listed(A, "a", "z")), "a z"),
        (value_set(VS, WHOLE), "a b c d e"),
        (value_set(VS, filtered(A, ("concept", "is-a", "b"))), "b c"),
        (value_set(VS, filtered(A, ("concept", "is-a", "a"), ("concept", "regex", "[cd]"))), "c d"),
        (value_set(VS, listed(A, "a"), listed(B, "a", "q")), "a a q"),
        (value_set(VS, listed(A, "a"), listed(A, "b", "a")), "a b"),
        (value_set(VS, WHOLE, exclude=[filtered(A, ("concept", "is-a", "b")), listed(A, "e")]), "a d"),
        (value_set(VS, {"valueSet": ["urn:some"]}), "b c q"),
        (value_set(VS, {"valueSet": ["urn:some", "urn:other"]}), "c q"),
        (value_set(VS, {"valueSet": ["urn:some", None]}), "b c q"),
        (value_set(VS, {"system": A, "valueSet": ["urn:some"]}), "b c"),
        (value_set(VS, filtered(A, ("concept", "is-a", "b")) | {"valueSet": ["urn:other"]}), "c"),
        (value_set(VS, {"valueSet": ["urn:some"]}, exclude=[{"valueSet": ["urn:other"]}]), "b"),
        (value_set(VS, compose={"inactive": False, "include": [WHOLE, listed(B, "q")]}), "a b c e q"),
        (value_set(VS, compose={"inactive": True, "include": [WHOLE]}), "a b c d e"),
        (value_set(VS, {}), ""),
    ],
)
def test_composing(composed: dict[str, Any], expected: str) -> None:
    some, other = (
        value_set("urn:some", listed(A, "b", "c"), listed(B, "q")),
        value_set("urn:other", listed(A, "c"), listed(B, "q")),
    )
    assert codes(VS, composed, some, other, LETTERS) == expected


def test_versions_of_what_is_included() -> None:
    old, new = (code_system(A, concept(version), version=version) for version in ("old", "new"))
    assert codes(VS, value_set(VS, WHOLE), old, new) == "new"
    assert codes(VS, value_set(VS, WHOLE | {"version": "old"}), old, new) == "old"
    first, second = value_set(VS, listed(A, "1"), version="1"), value_set(VS, listed(A, "2"), version="2")
    assert codes(f"{VS}|1", first, second) == "1"
    assert codes("urn:top", first, second, value_set("urn:top", {"valueSet": [f"{VS}|1"]})) == "1"


def expansion(*contains: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"timestamp": "2020", "contains": list(contains), **elements}


def test_a_stored_expansion_stands_in_for_what_cannot_be_evaluated() -> None:
    tree = {"system": A, "code": "x", "abstract": True, "contains": [{"system": A, "code": "y"}, {"display": "group"}]}
    stored = expansion(tree, {"system": B, "code": "z", "inactive": True})
    for compose in (value_set(VS, {"system": "urn:unknown"}), value_set(VS, {"valueSet": ["urn:unknown"]}), {}):
        document = {"resourceType": "ValueSet", "url": VS, **compose, "expansion": stored}
        assert codes(VS, document) == "y z"
    # What can be evaluated is: an expansion is a record of another time.
    assert codes(VS, value_set(VS, listed(A, "a"), expansion=stored)) == "a"


@pytest.mark.parametrize("partial", [expansion({"system": A, "code": "y"}, total=2), expansion(offset=1), expansion()])
def test_a_page_of_an_expansion_is_none(partial: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="neither a compose nor a whole expansion"):
        codes(VS, {"resourceType": "ValueSet", "url": VS, "expansion": partial})


@pytest.mark.parametrize(
    ("composed", "message"),
    [
        (value_set("urn:x"), "The ValueSet urn:vs is not known here. Store it as a ValueSet of this url, or"),
        (value_set(VS, {"valueSet": ["urn:gone|2"]}), "The ValueSet urn:gone|2 is not known here"),
        (value_set(VS, {"system": "urn:gone"}), "The CodeSystem urn:gone is not known here"),
        (value_set(VS, WHOLE | {"version": "9"}), "The CodeSystem urn:a|9 is not known here"),
        (value_set(VS, {"system": "urn:part"}), "known here with content 'fragment' only"),
        (value_set(VS, {"system": "urn:none"}), "The CodeSystem urn:none is not known here"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_not_found(composed: dict[str, Any], message: str) -> None:
    part, none = (code_system(f"urn:{name}", content=name) for name in ("part", "none"))
    part["content"], none["content"] = "fragment", "not-present"
    with pytest.raises(NotFound) as refused:
        codes(VS, composed, LETTERS, part, none)
    assert message in str(refused.value)


def test_circles_of_imports_are_refused() -> None:
    ring = [value_set(f"urn:{n}", listed(A, str(n)), {"valueSet": [f"urn:{(n + 1) % 3}"]}) for n in range(3)]
    with pytest.raises(BadRequest, match="The ValueSet urn:0 imports itself") as refused:
        codes("urn:0", *ring)
    assert refused.value.issues[0].code == "processing"


def test_imports_may_be_so_deep() -> None:
    chain = [value_set(f"urn:{n}", {"valueSet": [f"urn:{n + 1}"]}) for n in range(40)]
    chain.append(value_set("urn:40", listed(A, "a")))
    assert codes(f"urn:{40 - budget.MAX_DEPTH + 1}", *chain) == "a"
    with pytest.raises(BadRequest, match="more than 16 deep") as refused:
        codes("urn:0", *chain)
    assert refused.value.issues[0].code == "too-costly"


def test_what_is_imported_over_and_over_is_evaluated_once() -> None:
    layers = [value_set(f"urn:{n}", *[{"valueSet": [f"urn:{n + 1}"]}] * 4) for n in range(14)]
    layers.append(value_set("urn:14", listed(A, "a")))
    assert codes("urn:0", *layers) == "a"


def test_too_many_codes() -> None:
    many = [listed(A, *map(str, range(n, n + 2_000))) for n in range(0, 12_000, 2_000)]
    with pytest.raises(
        BadRequest, match="The ValueSet urn:vs stands for 12000 codes; a search takes up to 10000"
    ) as refused:
        codes(VS, value_set(VS, *many))
    assert refused.value.issues[0].code == "too-costly"
    assert len(codes(VS, value_set(VS, *many[:5])).split()) == 10_000
    # What is left in the end counts.
    assert codes(VS, value_set(VS, *many, exclude=[*many[1:], listed(A, *map(str, range(1, 2_000)))])) == "0"


def test_too_many_codes_is_not_mended_by_an_old_expansion() -> None:
    many = [listed(A, *map(str, range(budget.MAX_CODES + 1)))]
    with pytest.raises(BadRequest):
        codes(VS, value_set(VS, *many, expansion=expansion({"system": A, "code": "y"})))


HOSTILE = {
    "include": value_set(VS, *[WHOLE] * 200_000),
    "exclude": value_set(VS, WHOLE, exclude=[listed(A, "zz")] * 200_000),
    "filter": value_set(VS, filtered(A, *[("concept", "is-not-a", "zz")] * 200_000)),
    "import": value_set(VS, *[{"valueSet": ["urn:whole"]}] * 200_000),
    "codes": value_set(VS, *[listed(A, "1", "1", "1")] * 100_000),
}


WIDE = (code_system(A, *(concept(str(number)) for number in range(2_000))), value_set("urn:whole", WHOLE))


@pytest.mark.parametrize("kind", ["include", "filter", "import"])
def test_what_would_take_long_is_refused(kind: str) -> None:
    started = time.process_time()
    with pytest.raises(BadRequest, match="too many steps") as refused:
        codes(VS, HOSTILE[kind], *WIDE)
    assert refused.value.issues[0].code == "too-costly"
    assert time.process_time() - started < 10


@pytest.mark.parametrize(("kind", "found"), [("exclude", 2_000), ("codes", 1)])
def test_a_long_compose_of_little_is_evaluated(kind: str, found: int) -> None:
    started = time.process_time()
    assert len(codes(VS, HOSTILE[kind], *WIDE).split()) == found
    assert time.process_time() - started < 10


def test_above_and_below() -> None:
    found = expander(LETTERS)
    assert found.below(A, "b") == ((A, "b"), (A, "c"))
    assert found.above(A, "c") == ((A, "a"), (A, "b"), (A, "c"))
    for system, code, message in (
        (A, "zz", "has no code zz"),
        ("urn:q", "a", "The CodeSystem urn:q is not known here"),
    ):
        with pytest.raises(NotFound, match=message):
            found.below(system, code)
        with pytest.raises(NotFound, match=message):
            found.above(system, code)


def test_value_sets_of_snomed_need_no_definition() -> None:
    sct = "http://snomed.info/sct"
    concepts = code_system(sct, concept("64572001", concept("73211009", concept("44054006"))))
    assert codes(f"{sct}?fhir_vs", concepts) == "64572001 73211009 44054006"
    assert codes(f"{sct}?fhir_vs=isa/73211009", concepts) == "44054006 73211009"
    for other in (f"{sct}?fhir_vs=refset/73211009", f"{sct}?fhir_vs=isa/x", "http://loinc.org?fhir_vs"):
        with pytest.raises(NotFound, match=r"The ValueSet .* is not known here"):
            codes(other, concepts)
    with pytest.raises(NotFound, match=r"The CodeSystem http://snomed.info/sct is not known here"):
        codes(f"{sct}?fhir_vs")


# An oracle: whether one code is a member, by definition, over plain JSON and without any table of relations.

Json = dict[str, Any]
CODES = list("abcdef")


def is_a(system: Json, code: str, other: str, seen: frozenset[str] = frozenset()) -> bool:
    if code == other:
        return True
    entry = next(one for one in system["concept"] if one["code"] == code)
    parents = [one["valueCode"] for one in entry["property"] if one["code"] == "parent"]
    return code not in seen and any(is_a(system, parent, other, seen | {code}) for parent in parents)


def meets(system: Json, code: str, one: Json) -> bool:
    value, known = one["value"], one["value"] in CODES
    properties = next(entry for entry in system["concept"] if entry["code"] == code)["property"]
    values = (
        [code] if one["property"] == "concept" else [p["valueCode"] for p in properties if p["code"] == one["property"]]
    )
    match one["op"]:
        case "is-a":
            return known and is_a(system, code, value)
        case "descendent-of":
            return known and code != value and is_a(system, code, value)
        case "is-not-a":
            return not (known and is_a(system, code, value))
        case "generalizes":
            return known and is_a(system, value, code)
        case "=":
            return value in values
        case "in":
            return any(one in value.split(",") for one in values)
        case "not-in":
            return all(one not in value.split(",") for one in values)
        case "exists":
            return (len(values) > 0) == (value == "true")
        case "regex":
            return any(re.fullmatch(value, one) for one in values)
    raise AssertionError(one)


def in_set(library: dict[str, Json], one: Json, code: str) -> bool:
    system = library[A]
    if "concept" in one and code not in [c["code"] for c in one["concept"]]:
        return False
    if not all(meets(system, code, f) for f in one.get("filter", [])):
        return False
    return all(is_member(library, library[url], code) for url in one.get("valueSet", []))


def is_member(library: dict[str, Json], document: Json, code: str) -> bool:
    compose = document["compose"]
    included = any(in_set(library, one, code) for one in compose["include"])
    return included and not any(in_set(library, one, code) for one in compose.get("exclude", []))


SYSTEMS = st.builds(
    lambda parents, colours: code_system(
        A,
        *[
            {
                "code": code,
                "property": [
                    *({"code": "parent", "valueCode": parent} for parent in sorted(parents[code] - {code})),
                    *({"code": "colour", "valueCode": colour} for colour in sorted(colours[code])),
                ],
            }
            for code in CODES
        ],
        property=[{"code": "colour"}, {"code": "parent"}],
    ),
    st.fixed_dictionaries({code: st.sets(st.sampled_from(CODES), max_size=2) for code in CODES}),
    st.fixed_dictionaries({code: st.sets(st.sampled_from(["red", "blue"]), max_size=2) for code in CODES}),
)
HIERARCHICAL = ["is-a", "descendent-of", "is-not-a", "generalizes"]
FILTERS = st.one_of(
    st.tuples(st.just("concept"), st.sampled_from(HIERARCHICAL), st.sampled_from([*CODES, "zz"])),
    st.tuples(
        st.sampled_from(["concept", "parent", "colour"]),
        st.sampled_from(["=", "in", "not-in"]),
        st.sampled_from(["a", "b,c", "red", "red,blue"]),
    ),
    st.tuples(st.sampled_from(["parent", "colour"]), st.just("exists"), st.sampled_from(["true", "false"])),
    st.tuples(
        st.sampled_from(["concept", "colour"]), st.just("regex"), st.sampled_from(["[a-c]", "b.*", "red|blue", "e"])
    ),
)
SELECTIONS = st.one_of(
    st.just({"system": A}),
    st.lists(st.sampled_from(CODES), min_size=1, max_size=4).map(lambda found: listed(A, *found)),
    st.lists(FILTERS, min_size=1, max_size=2).map(lambda found: filtered(A, *found)),
)


@st.composite
def libraries(draw: st.DrawFn) -> list[Json]:
    documents: list[Json] = []
    for number in range(3):
        earlier = [{"valueSet": [one["url"] for one in documents]}] if documents else []
        selections = st.one_of(SELECTIONS, *map(st.just, earlier))
        if earlier:
            selections |= SELECTIONS.map(lambda one, url=documents[-1]["url"]: one | {"valueSet": [url]})
        include = draw(st.lists(selections, min_size=1, max_size=3))
        exclude = draw(st.lists(selections, max_size=2))
        documents.append(value_set(f"urn:vs{number}", *include, exclude=exclude))
    return [*documents, draw(SYSTEMS)]


@given(libraries())
def test_value_sets_hold_what_the_specification_says(documents: list[Json]) -> None:
    library = {one["url"]: one for one in documents}
    for document in documents[:-1]:
        found = codes(document["url"], *documents).split()
        assert sorted(found) == [code for code in CODES if is_member(library, document, code)], document


NAMES = st.sampled_from(["system", "filter", "concept", "code", "valueSet", "op", "property", "value"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    )
)
def test_nothing_but_a_clear_refusal_comes_of_odd_content(odd: Any) -> None:
    document = {"resourceType": "ValueSet", "url": VS, "compose": {"include": [odd]}}
    try:
        codes(VS, document, LETTERS)
    except (FhirError, msgspec.ValidationError):
        return
