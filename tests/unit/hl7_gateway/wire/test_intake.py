"""What has come is handed on as it is framed, whatever pieces it comes in. docs/hl7.md"""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.wire.intake import Intake
from hl7_gateway.wire.mllp import Frame, Frames, Noise, Oversize

_BYTES = st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"x", b"y" * 3_000, b"\x0bM\x1c\r" * 900]), max_size=12)


@given(st.lists(_BYTES.map(b"".join), max_size=6), st.randoms(use_true_random=False))
def test_the_same_frames_however_many_are_handed_on_at_a_time(pieces: list[bytes], random: object) -> None:
    intake = Intake(5_000)
    found: list[Frame | Oversize] = []
    for piece in pieces:
        intake.take(piece)
        left = random.randrange(2_000)  # type: ignore[attr-defined]
        while left and (first := intake.first) is not None:
            found.append(first)
            intake.hand_on()
            left -= 1
    while (first := intake.first) is not None:
        found.append(first)
        intake.hand_on()
    assert intake.empty
    frames = Frames(5_000)
    assert found == [one for one in frames.feed(b"".join(pieces)) if not isinstance(one, Noise)]
    assert (intake.held, intake.unfinished) == (frames.held, frames.pending > 0)


def test_noise_is_told_once_of_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    intake = Intake(100)
    intake.who = {"peer": "10.0.0.1"}
    with caplog.at_level(logging.WARNING):
        intake.take(b"SMITH\x0ba\x1cb\x0bc\x1cd" * 1_000)
        while intake.first is not None:
            intake.hand_on()
        intake.end()
    assert sorted(record.reason for record in caplog.records) == [  # type: ignore[attr-defined]
        "no carriage return after a frame",
        "outside of a frame",
    ]
    assert "SMITH" not in caplog.text


def test_what_nobody_waits_for_is_gone() -> None:
    intake = Intake(100)
    intake.take(b"\x0ba\x1c\r" * 5_000)
    assert intake.first == Frame(b"a")
    intake.clear()
    assert intake.empty
    assert intake.first is None
