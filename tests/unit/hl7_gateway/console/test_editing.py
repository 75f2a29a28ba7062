"""A message that becomes a text to edit, and bytes again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.console.editing import LONGEST, NotEditable, corrected, editable, same, text_of
from hl7_gateway.feed import Feed, parse

HEAD = "MSH|^~\\&|EPIC|HOSP|||20260101||ADT^A01|1|P|2.5.1"


def feed(**configuration: str) -> Feed:
    return parse(FeedRow(1, "clinic", 1, "lab", False, 5, configuration))


def with_charset(name: str, rest: str) -> str:
    return f"{HEAD}||||||{name}\r{rest}\r"


LINE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), max_codepoint=0x2FFF), max_size=40)


@given(st.lists(LINE, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_is_not_edited_comes_back_byte_by_byte(lines: list[str], end: str) -> None:
    whole = "\r".join([with_charset("UNICODE UTF-8", "").rstrip("\r"), *(f"ZZZ|{line}" for line in lines)]) + "\r"
    raw = whole.encode()
    text = editable(feed(), raw)
    assert "\r" not in text
    # A browser sends CR LF: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    sent = text.replace("\n", end)
    assert same(text, sent)
    assert corrected(feed(), sent) == raw


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("8859/1", "iso8859-1"), ("8859/15", "iso8859-15"), ("ISO IR87", "iso2022_jp"), ("", "utf-8"), ("ASCII", "utf-8")],
)
def test_a_correction_is_in_the_character_set_that_it_names(declared: str, codec: str) -> None:
    name = "山田" if "2022" in codec else "GARÇON"
    whole = with_charset(declared, f"PID|||1||{name}")
    raw = corrected(feed(), whole)
    assert raw.decode(codec) == whole
    assert editable(feed(), raw) == whole.rstrip("\r").replace("\r", "\n")


def test_the_feed_says_what_msh_18_does_not() -> None:
    raw = corrected(feed(charset="8859/1"), with_charset("", "PID|||1||GARÇON"))
    assert b"GAR\xc7ON" in raw


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (with_charset("8859/1", "PID|||1||山田"), "Line 2 has a character that is not of the character set iso8859-1"),
        (HEAD + "\nPID|\x1b", "control characters"),
        ("", "There is no message"),
        ("\r\n\n", "There is no message"),
    ],
)
def test_what_cannot_be_sent_is_told_without_quoting_it(text: str, said: str) -> None:
    with pytest.raises(NotEditable) as caught:
        corrected(feed(), text)
    assert said in str(caught.value)
    assert "山" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"MSH|\x00", HEAD.encode() + b"\r\x1cX", b"x" * (LONGEST + 1)])
def test_what_a_form_cannot_carry_is_not_edited(raw: bytes) -> None:
    with pytest.raises(NotEditable):
        editable(None, raw)


def test_bytes_that_are_no_characters_are_told() -> None:
    assert text_of(None, b"MSH|^~\\&|\xff\xfe").replaced
    assert not text_of(None, HEAD.encode()).replaced
