"""Messages cut and read: by hand, by joining what is then cut, and by hl7apy as a second opinion.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.5 Message construction rules" """

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7_gateway.message import Delimiters, Message, Segment, Value
from hl7_gateway.problems import Malformed, Place
from hl7_gateway.segment import read_delimiters

SAMPLES = Path("/work/shared/data/hl7v2")
MSH = "MSH|^~\\&|LAB|RIVERSIDE|EHR|CLINIC|20240818||ADT^A04^ADT_A01|1|P|2.5.1"


def test_the_parts_of_a_message() -> None:
    message = Message(f"{MSH}\rEVN|A04\rPID|1||12^^^RIVERSIDE&1.2.3&ISO^MR~34||SMITH^ANNA&MARIA\rZPI|x\rPV1||I\r")
    assert [segment.name for segment in message] == ["MSH", "EVN", "PID", "ZPI", "PV1"]
    assert [segment.position for segment in message] == [0, 1, 2, 3, 4]
    assert (message.message_type, message.event, message.structure) == ("ADT", "A04", "ADT_A01")
    assert (message.control_id, message.version) == ("1", "2.5.1")
    assert (message.header[1], message.header[2]) == ("|", "^~\\&")
    assert message.header.text(2) == "^~\\&"
    pid = message.first("PID")
    assert pid is not None
    assert pid.text(3) == "12"
    assert pid.text(3, 4, 2) == "1.2.3"
    assert pid.text(3, 5) == "MR"
    assert [value.text for value in pid.repetitions(3)] == ["12", "34"]
    assert pid.text(5, 2, 2) == "MARIA"
    assert len(pid) == 5
    assert pid[99] == ""
    assert pid.repetitions(99) == []
    assert message.all("OBX") == []


def test_an_event_that_only_evn_tells() -> None:
    assert Message("MSH|^~\\&|||||||ADT\rEVN|A08\r").event == "A08"
    assert Message("MSH|^~\\&|||||||ADT\r").event == ""


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n\n"])
def test_every_line_end(end: str) -> None:
    message = Message(end.join([MSH, "EVN|A04", "PID|1", ""]))
    assert [segment.raw for segment in message] == [MSH, "EVN|A04", "PID|1"]


def test_odd_delimiters() -> None:
    message = Message("MSH:;~\\&:LAB:::::A|B:ADT;A01\rPID:1::1;2&3~4:a\\F\\b\\S\\c\r")
    assert message.delimiters == Delimiters(":", ";", "~", "\\", "&")
    assert (message.message_type, message.event) == ("ADT", "A01")
    assert message.header[8] == "A|B" or message.header[8] == ""
    pid = message.first("PID")
    assert pid is not None
    assert (pid.text(3), pid.text(3, 2), pid.text(3, 2, 2)) == ("1", "2", "3")
    assert pid.text(4) == "a:b;c"


@pytest.mark.parametrize(
    ("encoding", "delimiters"),
    [
        ("^~\\&#", Delimiters("|", "^", "~", "\\", "&", "#")),
        ("^~\\&", Delimiters()),
        ("^~\\", Delimiters("|", "^", "~", "\\", "")),
        ("^~", Delimiters("|", "^", "~", "", "")),
        ("^", Delimiters("|", "^", "", "", "")),
    ],
)
def test_five_delimiters_and_fewer(encoding: str, delimiters: Delimiters) -> None:
    message = Message(f"MSH|{encoding}|A\rPID|1||1^2&3\r")
    assert message.delimiters == delimiters
    assert message.delimiters.encoding == encoding
    pid = message.first("PID")
    assert pid is not None
    assert pid.text(3, 2) == ("2" if delimiters.subcomponent else "2&3")
    assert pid.first(3).component(2).count == (2 if delimiters.subcomponent else 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MSH",
        "MSH|",
        "MSH||",
        "MSH|\r",
        "PID|1",
        "MSHX^~\\&X",
        "MSH ^~\\& ",
        "MSH|^^\\&|",
        "MSH|^~\\&#!|",
        "MSH|^|&|"[:4],
        "MSH|a~\\&|",
        "BHS|^~\\&|",
        "\x00",
        "<xml/>",
    ],
)
def test_what_is_no_message(text: str) -> None:
    with pytest.raises(Malformed):
        Message(text)
    with pytest.raises(Malformed):
        read_delimiters(text)


def test_what_senders_leave_around_a_message() -> None:
    for around in ("\ufeff", "\r\n", "\x00", " \n"):
        assert Message(around + MSH + "\rPID|1\r\x1a\x00").segments[1].raw == "PID|1"
    assert Message(MSH + "\rNTE|1||x ").segments[1][3] == "x "
    assert [segment.raw for segment in Message(MSH + "\r \tPID|1\r NTE|1|| x").segments[1:]] == ["PID|1", "NTE|1|| x"]


def test_a_line_end_within_a_text_is_not_a_segment() -> None:
    message = Message(f"{MSH}\rOBX|1|TX|1||first line\n\nMr SMITH is well|||N\nSee above.\rOBX|2|TX|1||next\r")
    assert [segment.name for segment in message] == ["MSH", "OBX", "OBX"]
    assert message.segments[1][5] == "first line\n\nMr SMITH is well"
    assert message.segments[1][8] == "N\nSee above."
    assert message.segments[2].number == 2
    assert "SMITH" not in repr(message.segments)


def test_a_line_behind_the_header_is_kept_but_is_none_of_its_fields() -> None:
    message = Message("MSH|^~\\&|LAB|RIVERSIDE\nMr SMITH|is well\rPID|1\r")
    assert message.header.raw == "MSH|^~\\&|LAB|RIVERSIDE\nMr SMITH|is well"
    assert message.header[4] == "RIVERSIDE"
    assert len(message.header) == 4


def test_null_is_not_empty() -> None:
    segment = Message(f'{MSH}\rPID|||""^""\r').segments[1]
    assert not Value("", Delimiters()).null
    assert Value('""', Delimiters()).null
    assert Value('""', Delimiters()).whole == ""
    assert segment.first(3).component(1).null
    assert segment.text(3) == ""


def test_values_do_not_show_themselves() -> None:
    assert "SMITH" not in repr(Value("SMITH^ANNA", Delimiters()))


def test_places() -> None:
    assert str(Place("PID", 1, 3, 1, 4)) == "PID-3.4"
    assert str(Place("OBX", 2, 5, 3, 1)) == "OBX[2]-5[3].1"


PARTS = st.text(st.characters(exclude_characters="|^~\\&\r\n", exclude_categories=["Cs"]), max_size=4)


@given(st.lists(st.lists(st.lists(PARTS, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=4))
def test_what_is_joined_comes_apart_again(fields: list[list[list[str]]]) -> None:
    raw = "|".join("~".join("^".join(parts) for parts in field) for field in fields)
    segment = Message(f"{MSH}\rZZZ|{raw}|end\r").segments[1]
    assert len(segment) == len(fields) + 1
    for number, field in enumerate(fields, 1):
        repetitions = segment.repetitions(number)
        if field == [[""]]:
            assert repetitions == []
            continue
        assert len(repetitions) == len(field)
        for value, parts in zip(repetitions, field, strict=True):
            assert value.count == len(parts)
            assert [value.component(place).raw for place in range(1, len(parts) + 1)] == parts


@given(st.text("MSH|^~\\&PID\r\n 1\x00", max_size=80))
@settings(max_examples=300)
def test_no_character_is_lost(text: str) -> None:
    try:
        message = Message("MSH|^~\\&|" + text)
    except Malformed:
        return
    around = dict.fromkeys(map(ord, "\r\n\x00 "))
    kept = "".join(segment.raw for segment in message)
    assert kept.translate(around) == ("MSH|^~\\&|" + text).translate(around)


@given(st.text(st.sampled_from('MSHPID|^~&\\"F a'), max_size=40), st.sampled_from(["", "^", "^~", "^~\\", "^~\\&"]))
@settings(max_examples=300, deadline=None)
def test_the_short_way_to_a_text_tells_what_the_long_one_does(raw: str, encoding: str) -> None:
    delimiters = Delimiters("|", *[*encoding, "", "", ""][:4])
    segment = Segment(raw, delimiters, 0, 1)
    for field in range(1, len(segment) + 2):
        for component in (1, 2, 3):
            for subcomponent in (1, 2):
                found = segment.first(field).component(component).component(subcomponent).text
                assert segment.text(field, component, subcomponent) == found


@pytest.mark.parametrize("unit", ["|", "PID|\n"])
def test_a_crowd_of_parts_is_refused_before_it_is_cut(unit: str) -> None:
    text = MSH + "\r" + unit * (32 * 1024 * 1024 // len(unit))
    began = time.thread_time()
    with pytest.raises(Malformed, match="2,000,000"):
        Message(text)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("unit", ["|", "^", "~", "&", "\r", "PID\r", "x\n", "\\", "PID|\n"])
def test_a_hostile_message_below_the_limit_takes_linear_time(unit: str) -> None:
    began = time.thread_time()
    message = Message(MSH + "\rPID|" + unit * (50_000 // len(unit)))
    for segment in message.segments[:3]:
        for value in segment.repetitions(1)[:3]:
            assert value.component(1).text is not None
    assert time.thread_time() - began < 1


def test_twenty_thousand_segments_and_a_large_document() -> None:
    document = "A" * 2_000_000
    message = Message(MSH + "\rOBX|1" * 20_000 + f"\rOBX|2|ED|||^AP^PDF^Base64^{document}\r")
    assert len(message.all("OBX")) == 20_001
    assert message.segments[-1].text(5, 5) == document


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the sample messages")
def test_hl7apy_cuts_the_samples_alike() -> None:
    """Fields and components of every standard segment, as a parser with another design sees them."""
    compared = 0
    for path in sorted(SAMPLES.glob("*.hl7"))[1::11]:
        message = Message(path.read_text(encoding="utf-8-sig", errors="replace"))
        for segment in message.segments[1:9]:
            if segment.name.startswith("Z"):
                continue
            compared += _compare(segment)
    assert compared > 150


def _compare(segment: Segment) -> int:
    # It writes the components of a field in an order of its own, so that only what they hold can be compared.
    theirs = parse_segment(segment.raw, version="2.8", validation_level=VALIDATION_LEVEL.TOLERANT)
    compared = 0
    for field in theirs.children:
        digits = (field.name or "").rpartition("_")[2]
        leaves = _leaves(field.to_er7())
        if digits.isdigit() and leaves:
            compared += 1
            assert leaves in [_leaves(value.raw) for value in segment.repetitions(int(digits))]
    return compared


def _leaves(raw: str) -> list[str]:
    # It writes numbers without the zeros before them, and escapes what only later versions have as a delimiter.
    raw = raw.replace("\\L\\", "#")
    return sorted(leaf.lstrip("0") for leaf in re.split(r"[\^&]", raw) if leaf.lstrip("0"))


def test_a_heading_is_that_of_all_that_say_the_same_but_for_time_and_number() -> None:
    one = Message("MSH|^~\\&|A&x^B|F|C|D|20260101||ADT^A01^ADT_A01|1|P^T|2.5.1^x|7||AL|NE\rPID|1\r")
    other = Message("MSH|^~\\&|A&x^B|F|C|D|20270101||ADT^A01^ADT_A01|2|P^T|2.5.1^x|8||AL|NE\nPID|2\r")
    third = Message("MSH|^~\\&|A&x^B|F|C|D|20270101||ADT^A02^ADT_A01|2|P^T|2.5.1^x|8||AL|NE")
    assert one.heading is other.heading
    assert third.heading is not one.heading
    said = one.heading
    assert (said.application, said.facility, said.message_type, said.event) == ("A", "F", "ADT", "A01")
    assert (said.structure, said.processing_id, said.version) == ("ADT_A01", "P", "2.5.1")
    assert (said.accept, said.answer) == ("AL", "NE")
    assert [said.segment[number] for number in (6, 7, 8, 10, 13, 14)] == ["D", "", "", "", "", ""]


def test_a_heading_that_a_sender_blows_up_is_not_remembered() -> None:
    one, other = (Message("MSH|^~\\&|" + "A" * 1_000 + "|F") for _ in range(2))
    assert one.heading is not other.heading
    assert one.heading.application == other.heading.application == "A" * 1_000
