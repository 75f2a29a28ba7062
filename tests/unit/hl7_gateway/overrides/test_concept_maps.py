"""Codes by a ConceptMap: which one is meant, what it makes of codes, and what of a field. docs/hl7-overrides.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.r4 import json
from hl7_gateway.conversion.convert import convert
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.overrides.changed import changed
from hl7_gateway.overrides.concept_maps import Lookup, Stored, loaded
from hl7_gateway.overrides.reading import read
from hl7_gateway.problems import Refused
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type

URL = "https://clinic.example/fhir/ConceptMap/analytes"
LOINC = "http://loinc.org"
LOCAL = "urn:hl7:north:99LAB"
RESULT = (
    "MSH|^~\\&|LAB|HOSP|R|F|20240818112600||ORU^R01|1|P|2.5.1\rPID|1||123^^^A^MR||DOE^JANE||19610615|W\r"
    "OBR|1||F1|PANEL^Panel^99LAB|||20240818\r"
)


def element(code: str, *targets: Any) -> dict[str, Any]:
    made = [one if isinstance(one, dict) else {"code": one, "equivalence": "equivalent"} for one in targets]
    return {"code": code, "target": made} if made else {"code": code}


def concept_map(*elements: dict[str, Any], url: str = URL, **more: Any) -> dict[str, Any]:
    group = {"source": LOCAL, "target": LOINC, "element": list(elements)}
    group |= more.pop("group", {})
    return {"resourceType": "ConceptMap", "url": url, "status": "active", "group": [group], **more}


def lookup(*maps: dict[str, Any], version: int = 1) -> Lookup:
    def found(url: str) -> Sequence[Stored]:
        return [Stored(str(place), version, json.dumps(one)) for place, one in enumerate(maps) if one.get("url") == url]

    return found


def mapping(text: str, *maps: dict[str, Any], feed: FeedMapping = FEED) -> FeedMapping:
    return loaded(replace(feed, overrides=read(text), file_version="f"), lookup(*maps))


def translate(*lines: str, field: str = "PID-8", url: str = URL) -> str:
    return "\n".join(["[[translate]]", f"field = '{field}'", f"map = '{url}'", *lines])


def codes_of(*maps: dict[str, Any], text: str = "") -> dict[str, str]:
    """What becomes of a, b and c."""
    found = mapping(text or translate(field="PV1-2"), *maps)
    assert found.wanting == ()
    became = {}
    for code in ("a", "b", "c"):
        message = Message(f"{RESULT}PV1|1|{code}")
        became[code] = changed(message, found.overrides).segments[-1][2]
    return became


def problem(*maps: dict[str, Any], text: str = "") -> str:
    found = mapping(text or translate(field="PV1-2"), *maps)
    (told,) = found.wanting
    return told


def test_codes_that_are_not_listed_stay() -> None:
    assert codes_of(concept_map(element("a", "x"), element("b"))) == {"a": "x", "b": "b", "c": "c"}


@pytest.mark.parametrize(
    ("equivalence", "became"),
    [
        *((one, "x") for one in ("equal", "equivalent", "wider", "subsumes", "relatedto")),
        *((one, "a") for one in ("unmatched", "disjoint", "narrower", "specializes", "inexact")),
    ],
)
def test_a_target_says_no_more_than_was_sent(equivalence: str, became: str) -> None:
    target = {"code": "x", "equivalence": equivalence, "comment": "why"}
    assert codes_of(concept_map(element("a", target)))["a"] == became


def test_an_exact_target_comes_before_others() -> None:
    wider = {"code": "w", "equivalence": "wider"}
    assert codes_of(concept_map(element("a", wider, "x")))["a"] == "x"


def test_what_is_not_listed_may_be_a_fixed_code() -> None:
    fixed = {"unmapped": {"mode": "fixed", "code": "z"}}
    maps = concept_map(element("a", "x"), element("b"), group=fixed)
    assert codes_of(maps) == {"a": "x", "b": "b", "c": "z"}


def test_what_is_not_listed_may_stay_by_the_map_s_own_word() -> None:
    maps = concept_map(element("a", "x"), group={"unmapped": {"mode": "provided"}})
    assert codes_of(maps) == {"a": "x", "b": "b", "c": "c"}


def test_what_is_not_listed_may_be_of_another_map() -> None:
    other = "https://clinic.example/fhir/ConceptMap/other"
    first = concept_map(element("a", "x"), group={"unmapped": {"mode": "other-map", "url": other}})
    second = concept_map(
        element("a", "not this"), element("b", "y"), url=other, group={"unmapped": {"mode": "fixed", "code": "z"}}
    )
    assert codes_of(first, second) == {"a": "x", "b": "y", "c": "z"}
    assert "there is none of this URL" in problem(first)
    back = concept_map(url=other, group={"unmapped": {"mode": "other-map", "url": URL}})
    assert "leads in a circle" in problem(first, back)


def test_groups_are_chosen_by_their_systems() -> None:
    maps = concept_map(element("a", "x"))
    maps["group"].append({"source": "urn:other", "target": "urn:target", "element": [element("a", "y")]})
    assert "several groups translate 'a'; choose by source or target" in problem(maps)
    assert codes_of(maps, text=translate("source = 'urn:other'", field="PV1-2"))["a"] == "y"
    assert codes_of(maps, text=translate(f"target = '{LOINC}'", field="PV1-2"))["a"] == "x"
    assert "it has no group of this source and target" in problem(maps, text=translate("source = 'urn:none'"))


def test_which_of_several_is_meant() -> None:
    one = concept_map(element("a", "one"), version="1")
    two = concept_map(element("a", "two"), version="2")
    text = translate(field="PV1-2", url=f"{URL}|1")
    assert codes_of(one, two, text=text)["a"] == "one"
    assert "there are 2 of them (versions 1, 2); name one as in" in problem(one, two)
    assert codes_of({**one, "status": "draft"}, two)["a"] == "two"
    assert codes_of({**one, "status": "retired"}, {**two, "status": "draft"})["a"] == "two"
    assert "it is retired" in problem({**one, "status": "retired"})
    assert "none of this URL and version" in problem(two, text=text)


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ([], "there is none of this URL"),
        ([concept_map(element("a", "x", "y"))], "several targets for 'a'"),
        ([concept_map({"target": [{"code": "x", "equivalence": "equal"}]})], "an element has no code"),
        ([{**concept_map(), "group": []}], "it has no group"),
        (
            [concept_map(element("a", {"code": "x", "equivalence": "equal", "dependsOn": [{"value": "1"}]}))],
            "depends on other elements",
        ),
        ([concept_map(group={"unmapped": {"mode": "fixed"}})], "unmapped is fixed and has no code"),
        ([concept_map(group={"unmapped": {"mode": "other-map", "url": "x"}})], "unmapped must be provided"),
        ([concept_map(element("a", "x\ny"))], "is not one line"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_entry(maps: list[dict[str, Any]], said: str) -> None:
    told = problem(*maps)
    assert told.startswith(f"[[translate]] no. 1: ConceptMap {URL}: ")
    assert said in told


def test_several_groups_with_one_that_tells_of_others() -> None:
    maps = concept_map(element("a", "x"), group={"unmapped": {"mode": "fixed", "code": "z"}})
    maps["group"].append({"source": "urn:other", "element": [element("b", "y")]})
    assert "unmapped is of one of several groups" in problem(maps)


def test_a_mapping_whose_map_is_not_there_converts_nothing() -> None:
    wanting = mapping(translate())
    with pytest.raises(Refused, match="there is none of this URL"):
        convert(Message(RESULT), wanting)
    # Nor does one whose ConceptMap nobody has looked up: hl7_gateway/feed.py.
    assert mapping(translate(), concept_map(element("W", "F"))).wanting == ()


def test_the_version_is_of_the_file_and_of_what_is_meant() -> None:
    text = translate()
    one = mapping(text, concept_map(element("a", "x")))
    same = mapping(text, concept_map(element("a", "x"), title="Another title", version="7"))
    other = mapping(text, concept_map(element("a", "y")))
    unlisted = mapping(text, concept_map(element("a", "x"), group={"unmapped": {"mode": "fixed", "code": "y"}}))
    assert one.version == same.version
    assert len({one.version, other.version, unlisted.version, "f"}) == 4
    assert one.file_version == "f"


def test_what_has_not_changed_stays_the_same_object() -> None:
    one = mapping(translate(), concept_map(element("a", "x")))
    assert loaded(one, lookup(concept_map(element("a", "x")))) is one
    changed_since = loaded(one, lookup(concept_map(element("a", "y")), version=2))
    assert changed_since is not one
    assert changed_since.version != one.version
    assert changed_since.memo is not one.memo
    plain = replace(FEED, overrides=read("[[drop]]\nfield='PID-8'"))
    assert loaded(plain, lookup()) is plain
    gone = loaded(one, lookup())
    assert gone.wanting
    back = loaded(gone, lookup(concept_map(element("a", "x"))))
    assert (back.wanting, back.version) == ((), one.version)


def test_every_problem_is_told() -> None:
    found = mapping(translate() + "\n" + translate(field="PV1-2"))
    assert [one.partition(":")[0] for one in found.wanting] == ["[[translate]] no. 1", "[[translate]] no. 2"]


GLUCOSE = {"code": "2345-7", "display": "Glucose [Mass/volume] & more", "equivalence": "equivalent"}


def coded(field: str, *maps: dict[str, Any]) -> list[dict[str, Any]]:
    """The codings of the Observation of a result with this OBX-3."""
    text = translate("coding = true", field="OBX-3")
    found = mapping(text, *(maps or (concept_map(element("GLU", GLUCOSE)),)))
    (made,) = of_type(converted(f"{RESULT}OBX|1|NM|{field}||5|mg/dL", found), "Observation")
    codings: list[dict[str, Any]] = made["code"]["coding"]
    return codings


NEW = {"code": "2345-7", "display": "Glucose [Mass/volume] & more", "system": LOINC}
SENT = {"code": "GLU", "display": "Glucose", "system": LOCAL}


@pytest.mark.parametrize(
    ("field", "codings"),
    [
        ("GLU^Glucose^99LAB", [NEW, SENT]),
        ("GLU^Glucose^99LAB^^^^3", [NEW, {**SENT, "version": "3"}]),
        # Of no system: it is taken for one of the map's.
        ("GLU^Glucose", [NEW, SENT]),
        (
            "GLU^Glucose^99LAB^X^Other^99X",
            [NEW, {"code": "X", "display": "Other", "system": "urn:hl7:north:99X"}, SENT],
        ),
        # Codes of another system, and codes that the sender has translated, are not touched.
        ("GLU^Glucose^99OTHER", [{**SENT, "system": "urn:hl7:north:99OTHER"}]),
        ("GLU^Glucose^LN", [{**SENT, "system": LOINC}]),
        ("GLU^Glucose^99LAB^2345-7^G^LN", [SENT, {"code": "2345-7", "display": "G", "system": LOINC}]),
        ("HB^Hemoglobin^99LAB", [{"code": "HB", "display": "Hemoglobin", "system": LOCAL}]),
    ],
)
def test_a_coding_is_put_before_the_one_that_was_sent(field: str, codings: list[dict[str, Any]]) -> None:
    assert coded(field) == codings


def test_where_there_is_no_room_beside_it_a_coding_stays() -> None:
    text = translate("coding = true", field="OBX-3")
    found = mapping(text, concept_map(element("GLU", GLUCOSE)))
    field = "GLU^Glucose^99LAB^A^^99A^^^^B^^99B"
    message = Message(f"{RESULT}OBX|1|NM|{field}||5")
    assert changed(message, found.overrides).segments[-1][3] == field


def test_coding_needs_a_target() -> None:
    maps = concept_map(element("GLU", GLUCOSE))
    del maps["group"][0]["target"]
    assert "a group has no target" in problem(maps, text=translate("coding = true", field="OBX-3"))


def test_the_system_is_what_the_feed_calls_it() -> None:
    feed = replace(FEED, code_systems={"L": "urn:lab"})
    maps = concept_map(element("GLU", GLUCOSE), group={"source": "urn:lab"})
    found = mapping(translate("coding = true", field="OBX-3"), maps, feed=feed)
    (made,) = of_type(converted(f"{RESULT}OBX|1|NM|GLU^Glucose^L||5", found), "Observation")
    assert made["code"]["coding"] == [NEW, {**SENT, "system": "urn:lab"}]
    (other,) = of_type(converted(f"{RESULT}OBX|1|NM|GLU^Glucose^99LAB||5", found), "Observation")
    assert other["code"]["coding"] == [SENT]


def test_a_code_without_a_system_is_read_as_the_field_s() -> None:
    found = mapping(translate(), concept_map(element("W", "F")))
    (made,) = of_type(converted(RESULT, found), "Patient")
    assert made["gender"] == "female"


def test_nothing_and_what_takes_away_stay() -> None:
    maps = concept_map(group={"unmapped": {"mode": "fixed", "code": "z"}})
    found = mapping(translate(field="PV1-2"), maps)
    for field in ("", '""', "q~", "~q"):
        message = Message(f"{RESULT}PV1|1|{field}")
        assert changed(message, found.overrides).segments[-1][2] == field.replace("q", "z")
