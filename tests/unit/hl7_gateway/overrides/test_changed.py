"""A message as a feed has it read: docs/hl7-overrides.md"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.conversion.convert import convert
from hl7_gateway.message import Message
from hl7_gateway.overrides.changed import changed
from hl7_gateway.overrides.difference import difference
from hl7_gateway.overrides.reading import read
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type

HEADER = "MSH|^~\\&|APP|HOSP|R|F|20240818112600||ADT^A01|1|P|2.5.1"
MESSAGE = f"{HEADER}\rPID|1||123^^^A^MR||DOE^JANE||19610615|W|||||555\rZPI|1|x|777^PRN^PH|42"


def after(text: str, message: str = MESSAGE) -> list[str]:
    return [segment.raw for segment in changed(Message(message), read(text))]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[put]]\nfield='PID-8'\nvalue='F'", "PID|1||123^^^A^MR||DOE^JANE||19610615|F|||||555"),
        ("[[put]]\nfield='PID-8'\nvalue='F'\nonly_empty=true", "PID|1||123^^^A^MR||DOE^JANE||19610615|W|||||555"),
        ("[[put]]\nfield='PID-16'\nvalue='a|b'", "PID|1||123^^^A^MR||DOE^JANE||19610615|W|||||555|||a\\F\\b"),
        ("[[put]]\nfield='PID-3.4'\nvalue='B'", "PID|1||123^^^B^MR||DOE^JANE||19610615|W|||||555"),
        ("[[drop]]\nfield='PID-5'", "PID|1||123^^^A^MR||||19610615|W|||||555"),
        ("[[drop]]\nfield='PID-5.1'", "PID|1||123^^^A^MR||^JANE||19610615|W|||||555"),
        ("[[translate]]\nfield='PID-8'\ncodes={W='F'}", "PID|1||123^^^A^MR||DOE^JANE||19610615|F|||||555"),
        ("[[translate]]\nfield='PID-3.5'\ncodes={MR='PI'}", "PID|1||123^^^A^PI||DOE^JANE||19610615|W|||||555"),
        ("[[copy]]\nfrom='ZPI-3'\nto='PID-13'", "PID|1||123^^^A^MR||DOE^JANE||19610615|W|||||777^PRN^PH"),
        ("[[copy]]\nfrom='ZPI-3'\nto='PID-13'\nadd=true", "PID|1||123^^^A^MR||DOE^JANE||19610615|W|||||555~777^PRN^PH"),
        ("[[copy]]\nfrom='ZPI-3.1'\nto='PID-13.1'", "PID|1||123^^^A^MR||DOE^JANE||19610615|W|||||777"),
        ("[[copy]]\nfrom='ZPX-3'\nto='PID-13'", "PID|1||123^^^A^MR||DOE^JANE||19610615|W|||||555"),
    ],
)
def test_changes(text: str, line: str) -> None:
    assert after(text)[1] == line


def test_a_move_leaves_nothing_behind() -> None:
    assert after("[[copy]]\nfrom='ZPI-3'\nto='PID-13'\nmove=true")[2] == "ZPI|1|x||42"


def test_each_patient_takes_what_follows_them() -> None:
    message = f"{HEADER}\rPID|1||1\rZPI|A\rPID|2||2\rZPI|B"
    assert after("[[copy]]\nfrom='ZPI-1'\nto='PID-5'", message)[1:4:2] == ["PID|1||1||A", "PID|2||2||B"]


def test_without_changes_it_is_the_same_message() -> None:
    message = Message(MESSAGE)
    assert changed(message, ()) is message


def test_a_header_keeps_its_delimiters() -> None:
    assert after("[[put]]\nfield='MSH-4'\nvalue='NORTH'")[0] == HEADER.replace("HOSP", "NORTH")


@given(st.text(st.characters(codec="utf-8", min_codepoint=160), max_size=30))
def test_a_constant_is_read_as_it_was_written(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    found = changed(Message(MESSAGE), read(f'[[put]]\nfield="PID-23"\nvalue="{quoted}"'))
    sent = found.all("PID")[0].first(23).whole
    assert sent == ("" if value == '""' else value)


def test_a_z_segment_becomes_an_extension() -> None:
    text = "[[read]]\nfield='ZPI-4'\nresource='Patient'\nextension='https://c.example/size'\ntype='NM'"
    feed = replace(FEED, overrides=read(text))
    (patient,) = of_type(converted(MESSAGE, feed), "Patient")
    assert patient["extension"] == [{"url": "https://c.example/size", "valueDecimal": 42}]
    found = convert(Message(MESSAGE), feed)
    assert "ZPI-4" not in [str(place) for place in found.unmapped]


def test_the_difference_is_shown_before_it_is_switched_on() -> None:
    message = Message(MESSAGE)
    now = convert(message, FEED)
    then = convert(message, replace(FEED, overrides=read("[[translate]]\nfield='PID-8'\ncodes={W='F'}")))
    found = difference(now, then)
    assert (found.gone, found.new) == ((), ('Patient#1.gender = "female"',))
    assert not difference(now, now)
