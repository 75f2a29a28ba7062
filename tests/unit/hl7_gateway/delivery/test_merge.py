"""What messages say of a resource under slots, against a naive model. docs/hl7.md"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.conversion.draft import Said, Stated
from hl7_gateway.delivery.merge import Body, Lineage, Merging
from hl7_gateway.problems import Place

PHONE, MAIL, OTHER = {"value": "1"}, {"value": "2"}, {"value": "3"}


def said(path: str, slot: str, *values: Any, initial: bool = False) -> Stated:
    place = Place("PID", 1, 13)
    return Stated(path, slot, tuple(Said(value, {"": place}) for value in values), initial)


class Kept:
    """A resource between messages: stored as JSON, as the store does."""

    def __init__(self, resource_type: str = "Patient", **body: Any) -> None:
        self.type = resource_type
        self.body: Body = body
        self.lineage: Lineage = {}
        self.messages = 0
        self.versions = 0

    def hear(self, *stated: Stated) -> Merging:
        self.messages += 1
        before = json.dumps(self.body, sort_keys=True)
        body, lineage = json.loads(json.dumps([self.body, self.lineage]))
        merging = Merging(self.type, body, lineage, self.messages, "m1")
        for one in stated:
            merging.state(one)
        assert merging.changed == (json.dumps(body, sort_keys=True) != before)
        assert merging.traced == (json.dumps(lineage, sort_keys=True) != json.dumps(self.lineage, sort_keys=True))
        self.body, self.lineage = body, lineage
        self.versions += merging.changed
        return merging


def test_a_slot_replaces_what_it_said_before_and_nothing_else() -> None:
    kept = Kept(telecom=[OTHER])
    kept.hear(said("telecom", "PID-13", PHONE), said("telecom", "PID-14", MAIL))
    assert kept.body == {"telecom": [OTHER, PHONE, MAIL]}
    kept.hear(said("telecom", "PID-13", {"value": "4"}, {"value": "5"}))
    assert kept.body == {"telecom": [OTHER, {"value": "4"}, {"value": "5"}, MAIL]}
    kept.hear(said("telecom", "PID-13"))
    assert kept.body == {"telecom": [OTHER, MAIL]}


def test_what_was_changed_over_rest_stays() -> None:
    kept = Kept()
    kept.hear(said("telecom", "PID-13", PHONE))
    kept.body["telecom"] = [PHONE | {"rank": 1}]
    kept.hear(said("telecom", "PID-13", MAIL))
    assert kept.body == {"telecom": [PHONE | {"rank": 1}, MAIL]}


def test_the_last_entry_takes_the_list_with_it() -> None:
    kept = Kept()
    kept.hear(said("telecom", "PID-13", PHONE))
    kept.hear(said("telecom", "PID-13"))
    assert (kept.body, kept.lineage) == ({}, {})


def test_what_two_slots_say_stays_while_one_says_it() -> None:
    kept = Kept()
    kept.hear(said("telecom", "PID-13", PHONE), said("telecom", "PID-14", PHONE))
    assert kept.body == {"telecom": [PHONE]}
    kept.hear(said("telecom", "PID-13"))
    assert kept.body == {"telecom": [PHONE]}
    kept.hear(said("telecom", "PID-14"))
    assert kept.body == {}


def test_an_element_that_does_not_repeat_is_what_was_said_last_and_goes_whoever_said_it() -> None:
    kept = Kept(gender="male")
    kept.hear(said("gender", "PID-8", "female"))
    assert kept.body == {"gender": "female"}
    kept.hear(said("gender", "another"))
    assert (kept.body, kept.lineage) == ({}, {})


def test_objects_on_the_way_come_and_go() -> None:
    kept = Kept("Encounter")
    kept.hear(said("hospitalization.admitSource", "PV1-14", {"text": "a"}), said("period.start", "PV1-44", "2024"))
    assert kept.body == {"hospitalization": {"admitSource": {"text": "a"}}, "period": {"start": "2024"}}
    kept.hear(said("hospitalization.admitSource", "PV1-14"), said("period.end", "PV1-45"))
    assert kept.body == {"period": {"start": "2024"}}


def test_one_of_a_choice_takes_the_place_of_the_others() -> None:
    kept = Kept("Observation", valueString="12", _valueString={"id": "a"})
    kept.hear(said("valueInteger", "OBX-5", 12))
    assert kept.body == {"valueInteger": 12}
    kept.hear(said("valueString", "OBX-5", "x"))
    assert (kept.body, list(kept.lineage)) == ({"valueString": "x"}, ["valueString"])
    kept.hear(said("valueQuantity", "OBX-5"))
    assert (kept.body, kept.lineage) == ({}, {})


def test_what_is_said_at_first_only_never_replaces() -> None:
    kept = Kept(active=False, deceasedBoolean=False)
    kept.hear(
        said("active", "PID#active", True, initial=True),
        said("deceasedDateTime", "PID-29", "2020", initial=True),
        said("gender", "PID-8", "male", initial=True),
        said("telecom", "PID-13", PHONE, initial=True),
        said("telecom", "PID-14", MAIL, initial=True),
    )
    assert kept.body == {"active": False, "deceasedBoolean": False, "gender": "male", "telecom": [PHONE]}


def test_an_extension_goes_with_the_value_it_extended() -> None:
    kept = Kept()
    time = {"extension": [{"url": "t", "valueDateTime": "2000-01-01T10:00:00Z"}]}
    kept.hear(said("_birthDate", "PID-7#time", time), said("birthDate", "PID-7", "2000-01-01"))
    assert kept.body == {"birthDate": "2000-01-01", "_birthDate": time}
    kept.hear(said("birthDate", "PID-7", "2000-01-01"))
    assert kept.body["_birthDate"] == time
    kept.hear(said("birthDate", "PID-7", "2000-01-02"))
    assert kept.body == {"birthDate": "2000-01-02"}
    assert list(kept.lineage) == ["birthDate"]


def test_an_object_said_whole_takes_the_place_of_its_parts() -> None:
    kept = Kept("Encounter")
    kept.hear(said("period.start", "PV1-44", "2024"), said("hospitalization.dietPreference", "PV1-38", {"text": "a"}))
    kept.hear(said("period", "X", {"end": "2025"}), said("hospitalization", "Y", {"dietPreference": [{"text": "b"}]}))
    assert sorted(kept.lineage) == ["hospitalization", "period"]
    kept.hear(said("hospitalization.dietPreference", "PV1-38", {"text": "c"}))
    assert kept.body["hospitalization"] == {"dietPreference": [{"text": "b"}, {"text": "c"}]}


def test_lineage_tells_the_message_that_said_it_first() -> None:
    kept = Kept()
    kept.hear(said("birthDate", "PID-7", "2000"))
    again = kept.hear(said("birthDate", "PID-7", "2000"))
    assert not again.changed
    assert not again.traced
    (entry,) = kept.lineage["birthDate"].values()
    assert (entry["m"], entry["v"], entry["s"][0][1]) == (1, "m1", {"": "PID-13"})


VALUES = st.sampled_from([PHONE, MAIL, OTHER, {"value": "4", "use": "home"}])
SLOTS = st.sampled_from(["PID-13", "PID-14", "PID-40"])
SAID = st.tuples(SLOTS, st.lists(VALUES, max_size=3, unique_by=str))


def model(log: list[tuple[str, list[dict[str, str]]]], by_rest: list[dict[str, str]]) -> list[dict[str, str]]:
    """Which entries there are after these statements: those of REST that no slot has claimed, and each slot's last."""
    latest: dict[str, list[dict[str, str]]] = {}
    rest = list(by_rest)
    for slot, values in log:
        taken_back = [v for v in latest.get(slot, []) if not any(v in o for s, o in latest.items() if s != slot)]
        rest = [v for v in rest if v not in taken_back]
        latest[slot] = values
    return [
        v
        for v in [PHONE, MAIL, OTHER, {"value": "4", "use": "home"}]
        if v in rest or any(v in o for o in latest.values())
    ]


@given(st.lists(SAID, max_size=12), st.lists(VALUES, max_size=2, unique_by=str))
def test_random_statements_leave_what_the_model_says(
    log: list[tuple[str, list[dict[str, str]]]], by_rest: list[dict[str, str]]
) -> None:
    kept = Kept()
    if by_rest:
        kept.body["telecom"] = copy.deepcopy(by_rest)
    for slot, values in log:
        kept.hear(said("telecom", slot, *values))
        versions = kept.versions
        kept.hear(said("telecom", slot, *values))
        assert kept.versions == versions
    found = kept.body.get("telecom", [])
    key = json.dumps
    assert sorted(found, key=key) == sorted(model(log, by_rest), key=key)


@given(SAID, SAID, st.lists(SAID, max_size=6))
def test_the_order_of_statements_under_two_slots_does_not_matter(
    one: tuple[str, list[dict[str, str]]],
    two: tuple[str, list[dict[str, str]]],
    before: list[tuple[str, list[dict[str, str]]]],
) -> None:
    if one[0] == two[0]:
        return
    ends = []
    for order in ((one, two), (two, one)):
        kept = Kept()
        for slot, values in (*before, *order):
            kept.hear(said("telecom", slot, *values))
        ends.append(sorted(map(str, kept.body.get("telecom", []))))
    assert ends[0] == ends[1]
