"""Frames in a stream, against a reference that sees the whole stream at once.

https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hl7_gateway.wire.mllp import HEAD, NO_RETURN, OUTSIDE, UNENDED, Event, Frame, Frames, Noise, Oversize, frame

LIMIT = 6


def reference(stream: bytes) -> list[Event]:
    """The same by a regular expression over all of it."""
    events: list[Event] = []
    noise = 0
    for found in re.finditer(rb"\x0b([^\x0b\x1c]*)(\x1c\r?)?|[^\x0b]+", stream):
        text = found[1]
        if text is None:
            noise += len(found[0])
            continue
        if noise:
            events.append(Noise(noise, OUTSIDE))
            noise = 0
        if found[2] is None:
            events.append(Noise(len(text), UNENDED))
            continue
        events.append(Frame(text) if len(text) <= LIMIT else Oversize(len(text), text[:HEAD]))
        if found[2] == b"\x1c":
            events.append(Noise(0, NO_RETURN))
    return [*events, Noise(noise, OUTSIDE)] if noise else events


@given(
    st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"A", b"MSH|", b"1234567890"]), max_size=30).map(
        b"".join
    ),
    st.lists(st.integers(1, 7), max_size=60),
)
@example(b"\x0bA\x1c", [])
@example(b"\x0bA\x1c\x0bB\x1c\r", [1] * 20)
def test_pieces_of_any_size_make_the_same_frames(stream: bytes, sizes: list[int]) -> None:
    frames = Frames(LIMIT)
    events: list[Event] = []
    position = 0
    for size in [*sizes, len(stream) + 1]:
        events += frames.feed(stream[position : position + size])
        position += size
    assert events + frames.close() == reference(stream)


@given(st.lists(st.binary(max_size=LIMIT).map(lambda raw: raw.translate(None, b"\x0b\x1c")), max_size=6))
def test_what_is_framed_comes_out(payloads: list[bytes]) -> None:
    assert Frames(LIMIT).feed(b"".join(map(frame, payloads))) == [Frame(payload) for payload in payloads]


def test_two_frames_in_one_packet_and_garbage_before_the_first() -> None:
    frames = Frames(100)
    assert frames.feed(b"GET / HTTP\r\n\r\n\x0bone\x1c\r\x0btwo\x1c\r") == [
        Noise(14, OUTSIDE),
        Frame(b"one"),
        Frame(b"two"),
    ]
    assert frames.close() == []


def test_a_frame_is_done_before_its_carriage_return() -> None:
    frames = Frames(100)
    assert frames.feed(b"\x0bone\x1c") == [Frame(b"one")]
    assert frames.feed(b"\x0btwo\x1c\r") == [Noise(0, NO_RETURN), Frame(b"two")]


def test_a_frame_that_is_too_large_is_not_kept() -> None:
    frames = Frames(20_000)
    assert frames.feed(b"\x0bMSH|" + b"x" * 20_000) == []
    for _ in range(100):
        assert frames.feed(b"x" * 10_000) == []
        assert len(frames._buffer) <= HEAD
    assert frames.pending == 1_020_004
    (large,) = frames.feed(b"\x1c\r")
    assert isinstance(large, Oversize)
    assert large.size == 1_020_004
    assert large.head[:4] == b"MSH|"
    assert len(large.head) == HEAD
    assert frames.feed(b"\x0bnext\x1c\r") == [Frame(b"next")]


def test_a_small_limit_still_keeps_the_head() -> None:
    (large,) = Frames(4).feed(b"\x0bMSH|^~\\&\x1c")
    assert large == Oversize(8, b"MSH|^~\\&")


def test_bytes_outside_are_counted_only() -> None:
    frames = Frames(100)
    for _ in range(50):
        assert frames.feed(b"x" * 1_000) == []
    assert frames.unframed == 50_000
    assert frames.close() == [Noise(50_000, OUTSIDE)]


@pytest.mark.parametrize("payload", [b"\x0b", b"a\x1cb"])
def test_what_cannot_be_framed(payload: bytes) -> None:
    with pytest.raises(ValueError, match="0B and 1C"):
        frame(payload)


def test_contents_are_not_shown() -> None:
    assert "SMITH" not in repr(Frame(b"SMITH")) + repr(Oversize(5, b"SMITH"))


@pytest.mark.parametrize("unit", [b"\x0b", b"\x1c", b"\x0b\x1c", b"\r", b"x", b"\x0bx", b"\x0bx\x1c\r"])
def test_a_hostile_stream_takes_linear_time(unit: bytes) -> None:
    began = time.thread_time()
    frames = Frames(1_000_000)
    frames.feed(unit * (40_000 // len(unit)))
    assert time.thread_time() - began < 1


def test_one_byte_at_a_time_takes_linear_time() -> None:
    began = time.thread_time()
    frames = Frames(1_000_000)
    frames.feed(b"\x0b")
    one = b"x"
    for _ in range(50_000):
        frames.feed(one)
    assert frames.feed(b"\x1c") == [Frame(one * 50_000)]
    assert time.thread_time() - began < 1
