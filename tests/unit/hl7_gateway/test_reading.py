"""From bytes to a message of a feed, or the reason why not. docs/hl7.md, "Dead letters" """

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.feed import Feed, parse
from hl7_gateway.feeds import sender
from hl7_gateway.reading import Read, ReadBatch, fingerprint, header, heading, incoming, read

HEADER = "MSH|^~\\&|EPIC|HOSP|A|B|20260101||ADT^A01|7|P|2.5.1\r"
WHOLE = HEADER + "EVN|A01\rPID|1||123^^^HOSP^MR||M\u00fcLLER\rPV1|1|I\r"
HASHER = Hasher(b"0123456789abcdef")


def feed(**configuration: Any) -> Feed:
    return parse(FeedRow(1, "riverside", 1, "lab", False, 0, configuration))


def one(raw: bytes, **configuration: Any) -> Read:
    found = read(feed(**configuration), raw)
    assert isinstance(found, Read)
    return found


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_sender_is_known_before_the_character_set_is(codec: str) -> None:
    assert sender(header(WHOLE.encode(codec))) == ("EPIC", "HOSP")


def test_the_sender_of_a_batch_is_that_of_its_first_message() -> None:
    assert sender(header(b"FHS|^~\\&|X\rBHS|^~\\&|Y\r" + WHOLE.encode())) == ("EPIC", "HOSP")
    assert header(b"FHS|^~\\&|X\r") is None
    assert header(b"") is None


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        (b"HELLO", 100, "MSH"),
        (WHOLE.replace("A01|7", "A01|").encode(), 101, "MSH-10"),
        (WHOLE.replace("ADT^A01", "XXX^A01").encode(), 200, "MSH-9.1"),
        (WHOLE.replace("ADT^A01", "ADT^Z99").encode(), 201, "MSH-9.2"),
        (WHOLE.replace("|P|2.5.1", "|X|2.5.1").encode(), 202, "MSH-11"),
        (WHOLE.replace("2.5.1", "9.9").encode(), 203, "MSH-12"),
        (HEADER.encode(), 101, "PID"),
        (b"FHS|^~\\&|EPIC\rFTS|0\r", 100, ""),
    ],
)
def test_why_a_message_is_not_taken(raw: bytes, code: int, place: str) -> None:
    problem = one(raw).problem
    assert problem is not None
    assert (problem.code, str(problem.place or "")) == (code, place)


def test_processing_ids_are_those_of_the_feed() -> None:
    raw = WHOLE.replace("|P|2.5.1", "|T|2.5.1").encode()
    assert one(raw).problem is None
    problem = one(raw, processing_ids=["P"]).problem
    assert problem is not None
    assert problem.code == 202


def test_the_character_set_is_the_feeds_where_the_message_names_none() -> None:
    found = one(WHOLE.encode("latin-1"), charset="8859/1").message
    assert found is not None
    assert found.first("PID").text(5) == "M\u00fcLLER"  # type: ignore[union-attr]
    problem = one(WHOLE.encode("latin-1"), invalid_bytes="refuse").problem
    assert problem is not None
    assert (problem.code, str(problem.place)) == (102, "PID-5")


def test_a_batch_has_its_messages_in_bytes_of_their_own() -> None:
    found = read(feed(charset="8859/1"), ("BHS|^~\\&|EPIC\r" + WHOLE + WHOLE + "BTS|2\r").encode("latin-1"))
    assert isinstance(found, ReadBatch)
    assert found.messages == (WHOLE.encode("latin-1"),) * 2
    assert (found.header, found.batch.problems) == ("BHS|^~\\&|EPIC", [])


def test_what_is_kept_of_a_message() -> None:
    kept = incoming(one(WHOLE.encode()), HASHER, b"AA")
    assert (kept.control_id, kept.message_type, kept.event, kept.application, kept.facility) == (
        "7", "ADT", "A01", "EPIC", "HOSP",
    )  # fmt: skip
    assert (kept.raw, kept.acknowledgment, kept.problem, len(kept.patients)) == (WHOLE.encode(), b"AA", None, 1)
    dead = incoming(one(HEADER.encode()), HASHER, b"AE")
    assert dead.problem == {"code": 101, "place": "PID", "said": "the segment is required"}
    unreadable = incoming(one(b"MSH|^~\\&|A\x00B|" + b"x" * 900), HASHER, b"")
    assert unreadable.application == "A B"
    assert len(unreadable.facility) == 200


def test_a_fingerprint_is_of_sender_control_id_and_bytes() -> None:
    prints = {
        fingerprint(("A", "B"), "1", b"x"),
        fingerprint(("AB", ""), "1", b"x"),
        fingerprint(("A", "B"), "2", b"x"),
        fingerprint(("A", "B1"), "", b"x"),
        fingerprint(("A", "B"), "1", b"y"),
        fingerprint(("A", "B"), "", b"1x"),
    }
    assert len(prints) == 6
    assert fingerprint(("A", "B"), "1", b"x") in prints


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_any_bytes_are_read_or_refused_and_can_be_kept(raw: bytes) -> None:
    found = read(feed(), raw)
    for part in found.messages if isinstance(found, ReadBatch) else (raw,):
        inner = read(feed(), part)
        if isinstance(inner, Read):
            kept = incoming(inner, HASHER, b"")
            assert kept.raw == part
            assert "\x00" not in kept.control_id + kept.application + kept.facility + kept.message_type


PIECES = [
    b"MSH",
    b"|",
    b"^~\\&",
    b"|A&b^c",
    b"|LAB|H|",
    b"||ADT^A01^ADT_A01|",
    b"\r",
    b"\n",
    b"\x1b$B",
    b"\xe9",
    b"8859/1",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join),
    st.sampled_from(["", "utf-16", "utf-16-le", "utf-8-sig"]),
)
@settings(max_examples=300, deadline=None)
def test_a_message_is_read_alike_whether_its_heading_is_known_or_not(raw: bytes, codec: str) -> None:
    raw = raw.decode("latin-1").encode(codec) if codec else raw
    said = heading(raw)
    assert sender(said) == sender(header(raw))
    found, known = read(feed(), raw), read(feed(), raw, said)
    assert type(found) is type(known)
    if isinstance(found, Read) and isinstance(known, Read):
        assert str(found.problem) == str(known.problem)
        assert incoming(found, HASHER, b"") == incoming(known, HASHER, b"")
