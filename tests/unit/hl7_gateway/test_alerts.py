"""Which conditions hold for a feed. docs/hl7.md, "Alerts" """

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.store.hl7_alerts import CONDITIONS, DEAD, QUEUE, SEQUENCE, SILENT, UNUSABLE, WAITING, Alert
from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.alerts import Standing, seen, sentence
from hl7_gateway.feed import Feed, parse

WELL = Standing(silent=1.0, waiting=0, oldest=0.0, dead=0, expected=0)


def feed(paused: bool = False, **configuration: Any) -> Feed:
    every = {"silent": 60, "waiting": 300, "queue": 50, "dead": 2, "sequence": True}
    return parse(FeedRow(1, "riverside", 7, "lab", paused, 0, every | configuration))


def holding(of: Feed, standing: Standing) -> dict[str, int]:
    found = seen(of, standing)
    assert {(one.feed_id, one.feed) for one in found} == {(7, "lab")}
    assert len({one.condition for one in found}) == len(found)
    return {one.condition: one.amount for one in found if one.holds}


@pytest.mark.parametrize(
    ("change", "below", "condition", "amount", "key"),
    [
        ({"silent": 60.0}, {"silent": 59.9}, SILENT, 60, "silent"),
        ({"oldest": 300.5}, {"oldest": 299.9}, WAITING, 300, "waiting"),
        ({"waiting": 50}, {"waiting": 49}, QUEUE, 50, "queue"),
        ({"dead": 2}, {"dead": 1}, DEAD, 2, "dead"),
    ],
)
def test_a_condition_holds_from_what_the_feed_says_and_never_with_0(
    change: dict[str, Any], below: dict[str, Any], condition: str, amount: int, key: str
) -> None:
    assert holding(feed(), replace(WELL, **change)) == {condition: amount}
    assert holding(feed(), replace(WELL, **below)) == {}
    assert holding(feed(**{key: 0}), replace(WELL, **change)) == {}


def test_a_well_feed_has_nothing_and_all_of_it_is_known() -> None:
    assert holding(feed(), WELL) == {}
    assert sorted(one.condition for one in seen(feed(), WELL)) == sorted(CONDITIONS)


def test_numbers_out_of_step() -> None:
    assert holding(feed(), replace(WELL, expected=12)) == {SEQUENCE: 12}
    assert holding(feed(), replace(WELL, expected=-1)) == {SEQUENCE: -1}
    assert holding(feed(sequence=False), replace(WELL, expected=12)) == {}


def test_what_is_not_known_is_not_said() -> None:
    """After a start nothing has come yet: what was silent may still be, and what was in step too."""
    said = {one.condition for one in seen(feed(), replace(WELL, silent=None, expected=None))}
    assert said == {*CONDITIONS} - {SILENT, SEQUENCE}
    # Unless nobody wants to know any more.
    changed = feed(silent=0, sequence=False)
    assert {one.condition for one in seen(changed, replace(WELL, silent=None, expected=None))} == {*CONDITIONS}


def test_of_a_paused_feed_dead_letters_are_told_and_not_what_waits() -> None:
    ill = Standing(silent=10**6, waiting=10**6, oldest=10**6, dead=5, expected=0)
    assert holding(feed(), ill) == {SILENT: 10**6, WAITING: 10**6, QUEUE: 10**6, DEAD: 5}
    assert holding(feed(paused=True), ill) == {DEAD: 5}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_condition_has_a_sentence(condition: str) -> None:
    said = sentence(Alert(1, 7, "lab", condition, 4321, 1, 0, 0, ""))
    assert "{" not in said
    assert ("4,321" in said or "4321" in said) == (condition != UNUSABLE)
