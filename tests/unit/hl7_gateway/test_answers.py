"""Answers in both modes, and as they are kept. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway import answers
from hl7_gateway.message import Message
from hl7_gateway.problems import Place, Refused
from hl7_gateway.wire.client import read

PROBLEM = Refused(101, "AE", Place("PID", 1, 3), "An identifier is required.")


def message(modes: str = "") -> Message:
    return Message(f"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|7|P|2.5.1|||{modes}\r")


def codes(stored: bytes) -> list[str]:
    return [read(part).code for part in answers.parts(stored)]


_CONDITIONS = ("", "AL", "NE", "ER", "SU")


@pytest.mark.parametrize("application", _CONDITIONS)
@pytest.mark.parametrize("accept", _CONDITIONS)
def test_what_is_answered_follows_table_0155(accept: str, application: str) -> None:
    """The oracle is the table itself: AL always, NE never, ER on errors, SU on success; all empty is one answer."""
    one = message(f"{accept}|{application}")
    original = not accept and not application
    good, bad = ("AL", "SU"), ("AL", "ER")
    taken = ["AA"] if original else ["CA"] * (accept in good) + ["AA"] * (application in good)
    assert codes(answers.taken(one, later=False)) == taken
    assert codes(answers.settled(one, None)) == taken
    accepted = [] if original else ["CA"] * (accept in good)
    dead = ["AE"] if original or application in bad else []
    assert codes(answers.settled(one, PROBLEM)) == accepted + dead
    refused = ["AE"] if original else ["CE"] if accept in bad else ["AE"] * (application in bad)
    assert codes(answers.refused(one, PROBLEM)) == refused
    assert codes(answers.taken(one, later=True)) == [*accepted, "AE"]
    assert answers.promised(one) == bool(accepted)


def test_bytes_that_are_no_message_are_answered_in_the_original_mode() -> None:
    assert codes(answers.refused(b"HELLO", Refused(100, "AE", None, "No message."))) == ["AE"]


def test_no_two_acknowledgments_have_the_same_id() -> None:
    assert len({answers.control_id() for _ in range(1_000)}) == 1_000
    assert max(len(answers.control_id()) for _ in range(10)) <= 20


@given(st.lists(st.binary(min_size=1).filter(lambda part: b"\x1c" not in part)))
def test_answers_are_found_again_as_they_were_kept(parts: list[bytes]) -> None:
    assert answers.parts(answers.joined(parts)) == parts
