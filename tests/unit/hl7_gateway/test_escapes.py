"""Escape sequences, by the examples of the standard and by the law that what is escaped comes back.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.7 Use of escape sequences" """

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.escapes import escape, unescape
from hl7_gateway.message import Delimiters

USUAL = Delimiters()
ODD = Delimiters(":", ";", "~", "\\", "&")
FIVE = Delimiters("|", "^", "~", "\\", "&", "#")
ALL = st.sampled_from([USUAL, ODD, FIVE, Delimiters("$", "*", "@", "!", "%"), Delimiters("|", "^", "~", "\\", "")])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("|^~\\&#:;.FSTREbrX41\n\r\t"))


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("SMITH \\T\\ SONS", "SMITH & SONS"),
        ("a\\.br\\b\\X41\\c\\F\\d\\E\\e", "a\nbAc|d\\e"),
        ("\\S\\\\R\\", "^~"),
        ("\\H\\loud\\N\\ and plain", "loud and plain"),
        ("\\X0D0A\\", "\r\n"),
        ("\\X0d\\", "\r"),
        ("\\X000d\\", "\r"),
        ("\\XC3A9\\ \\XE9\\", "é é"),
        ("\\E\\F\\E\\", "\\F\\"),
    ],
)
def test_what_is_meant(raw: str, meant: str) -> None:
    assert unescape(raw, USUAL) == meant


@pytest.mark.parametrize(
    "raw",
    [
        "\\Zabc\\",
        "\\C2842\\",
        "\\M244A\\",
        "\\M244A01\\",
        "\\.in+4\\",
        "\\.sp3\\",
        "\\X4\\",
        "\\X4G\\",
        "\\X\\",
        "\\XC3\\"[:3],
        "C:\\temp",
        "\\",
        "\\\\",
        "\\f\\",
        "\\P\\",
        "\\X00\\",
        "\\X1C\\",
        "\\X0B\\",
    ],
)
def test_what_is_not_known_stays(raw: str) -> None:
    assert unescape(raw, USUAL) == raw


def test_what_switches_the_character_set_is_not_cut_into() -> None:
    # The closing character of one sequence does not open another.
    assert unescape("\\C2842\\F\\C2842\\", USUAL) == "\\C2842\\F\\C2842\\"
    # One that is no sequence may.
    assert unescape("C:\\temp\\F\\", USUAL) == "C:\\temp|"


def test_the_delimiters_of_the_message_count() -> None:
    assert unescape("\\F\\\\S\\", ODD) == ":;"
    assert unescape("\\P\\\\L\\", FIVE) == "##"
    assert unescape("\\L\\", USUAL) == "\\L\\"
    assert escape("a#", FIVE) == "a\\X23\\"
    assert unescape("\\F\\", Delimiters("|", "^", "~", "", "")) == "\\F\\"
    assert unescape("\\T\\", Delimiters("|", "^", "~", "\\", "")) == "\\T\\"
    assert unescape("a!F!b", Delimiters("|", "^", "~", "!", "&")) == "a|b"


@given(TEXTS, ALL)
def test_what_is_escaped_comes_back(text: str, delimiters: Delimiters) -> None:
    escaped = escape(text, delimiters)
    assert unescape(escaped, delimiters) == text
    marks = {delimiters.field, delimiters.component, delimiters.repetition, delimiters.subcomponent, "\r", "\n"} - {""}
    assert not marks & set(escaped)


@given(st.text())
def test_nothing_that_is_sent_ends_the_frame_or_a_segment(text: str) -> None:
    assert not {"\x0b", "\x1c", "\r", "\n", "\x00"} & set(escape(text, USUAL))


def test_without_an_escape_character_delimiters_become_spaces() -> None:
    assert escape("a|b^c\nd\\e", Delimiters("|", "^", "~", "", "")) == "a b c d\\e"


@given(st.text("\\FSTREHNXZCM.br0143A&|", max_size=60))
def test_any_text_is_taken_and_resolving_never_makes_it_longer(raw: str) -> None:
    assert len(unescape(raw, FIVE)) <= len(raw)


@pytest.mark.parametrize("unit", ["\\", "\\F", "\\X41", "\\.br", "\\X"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    began = time.thread_time()
    unescape(text, USUAL)
    assert time.thread_time() - began < 1
