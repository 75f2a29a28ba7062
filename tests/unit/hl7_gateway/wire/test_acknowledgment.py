"""Acknowledgments as senders of each version expect them; hl7apy validates them.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.9.2 Message response using the original processing rules"
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.message import Message
from hl7_gateway.problems import Place, Refused
from hl7_gateway.wire.acknowledgment import CONDITIONS, Modes, Problem, acknowledge, modes, wanted
from hl7_gateway.wire.versions import VERSIONS

NOW = datetime(2026, 11, 26, 12, 30, 5, tzinfo=UTC)
MISSING = Refused(101, "AE", Place("PID", 1, 3, 1), "an identifier with its assigning authority is required")


def received(version: str = "2.5.1", extra: str = "", start: str = "MSH|^~\\&") -> Message:
    return Message(
        f"{start}|LAB|RIVERSIDE^1.2.3^ISO|EHR|CLINIC|20240818||ADT^A04^ADT_A01|77\\T\\8|T|{version}{extra}\r"
    )


def test_an_acceptance() -> None:
    assert acknowledge(received(), "AA", "G1", [], NOW) == (
        b"MSH|^~\\&|EHR|CLINIC|LAB|RIVERSIDE^1.2.3^ISO|20261126123005+0000||ACK^A04^ACK|G1|T|2.5.1\rMSA|AA|77\\T\\8\r"
    )


def test_an_error_from_2_5_on() -> None:
    lines = acknowledge(received(), "AE", "G1", [MISSING], NOW).decode().split("\r")
    assert lines[1] == "MSA|AE|77\\T\\8"
    assert lines[2] == (
        "ERR||PID^1^3^1|101^Required field missing^HL70357|E||||an identifier with its assigning authority is required"
    )


def test_an_error_before_2_5() -> None:
    lines = acknowledge(received("2.3.1"), "AE", "G1", [MISSING, MISSING], NOW).decode().split("\r")
    assert lines[1] == "MSA|AE|77\\T\\8|PID-3: an identifier with its assigning authority is required"
    assert lines[2] == "ERR|" + "~".join(["PID^1^3^101&Required field missing&HL70357"] * 2)
    assert lines[3:] == [""]


def test_the_oldest_versions() -> None:
    lines = acknowledge(received("2.2"), "AR", "G1", [Refused(203, "AR", None, "said")], NOW).decode().split("\r")
    assert "|ACK|G1|T|2.2" in lines[0]
    assert lines[2] == "ERR|^^^203"


def test_the_delimiters_of_the_sender() -> None:
    message = Message("MSH:;~\\&:LAB:RIVERSIDE:EHR:CLINIC:1::ADT;A04;ADT_A01:9:P:2.5.1\rPID:1\r")
    problem = Problem(207, Place("PID"), "a:b;c", "W")
    assert acknowledge(message, "AA", "G:1", [problem], NOW).decode().split("\r")[:3] == [
        "MSH:;~\\&:EHR:CLINIC:LAB:RIVERSIDE:20261126123005+0000::ACK;A04;ACK:G\\F\\1:P:2.5.1",
        "MSA:AA:9",
        "ERR::PID;1:207;Application internal error;HL70357:W::::a\\F\\b\\S\\c",
    ]
    five = Message("MSH|^~\\&#|LAB|||||||9|P|2.8\r")
    assert acknowledge(five, "AA", "G#1", [], NOW).startswith(b"MSH|^~\\&#|||LAB||")
    assert b"|G\\X23\\1|" in acknowledge(five, "AA", "G#1", [], NOW)
    few = Message("MSH|^|LAB|||||||9|P|2.3\r")
    assert acknowledge(few, "AE", "G1", [MISSING, MISSING], NOW).decode().split("\r")[2] == "ERR|PID^1^3^101"


def test_the_enhanced_mode_asks_for_no_acknowledgment_of_the_acknowledgment() -> None:
    lines = acknowledge(received(extra="|||AL|ER"), "CA", "G1", [], NOW, expected=12).decode().split("\r")
    assert lines[0].endswith("|2.5.1|||NE|NE")
    assert lines[1] == "MSA|CA|77\\T\\8||12"


@pytest.mark.parametrize("raw", [b"", b"garbage", b"\x00\xff", b"MSH", b"PID|1||SMITH"])
def test_what_cannot_be_read_is_answered_all_the_same(raw: bytes) -> None:
    answer = acknowledge(raw, "AR", "G1", [Refused(100, "AR", None, "no MSH")], NOW)
    assert answer.split(b"\r")[:2] == [b"MSH|^~\\&|||||20261126123005+0000||ACK|G1|P|2.5.1", b"MSA|AR"]
    assert b"SMITH" not in answer


def test_what_can_be_read_of_a_message_that_does_not_parse() -> None:
    raw = b"\xef\xbb\xbfMSH|^~\\&|LAB||EHR|||Andr\xe9|ORU^R01|55|P|2.4\rPID|\xff"
    lines = acknowledge(raw, "AE", "G1", [], NOW).split(b"\r")
    assert lines[0] == b"MSH|^~\\&|EHR||LAB||20261126123005+0000||ACK^R01^ACK|G1|P|2.4"
    assert lines[1] == b"MSA|AE|55"


def test_the_character_set_of_the_answer() -> None:
    def msh(name: str, facility: str) -> bytes:
        message = Message(f"MSH|^~\\&|LAB|{facility}|EHR||1||ADT^A04|1|P|2.5.1||||||{name}\r")
        return acknowledge(message, "AA", "G1", [], NOW)

    assert msh("8859/1", "Süd").endswith(b"|2.5.1||||||8859/1\rMSA|AA|1\r")
    assert "Süd".encode("latin-1") in msh("8859/1", "Süd")
    assert "Süd".encode() in msh("", "Süd")
    assert b"UNICODE UTF-8\r" in msh("", "Süd")
    assert b"UNICODE UTF-8\r" in msh("8859/1", "山")
    assert msh("8859/1~ISO IR87", "SUED").endswith(b"||||||8859/1\rMSA|AA|1\r")
    assert b"UTF-16" not in msh("UNICODE UTF-16", "SUED")
    assert msh("KLINGON", "SUED").split(b"\r")[0].endswith(b"|2.5.1")


def test_a_header_with_line_ends_in_it_stays_one_line() -> None:
    message = Message("MSH|^~\\&|LAB|SOUTH\nWING|EHR||1||ADT^A0\n4|1\n2|P|2.5.1\r")
    assert acknowledge(message, "AA", "G1", [], NOW).count(b"\r") == 2
    assert b"\n" not in acknowledge(message, "AA", "G1", [], NOW)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", Modes("", "AL")),
        ("|||AL|AL", Modes("AL", "AL")),
        ("|||NE|ER", Modes("NE", "ER")),
        ("|||AL|", Modes("AL", "NE")),
        ("||||su", Modes("NE", "SU")),
        ("|||ZZ|NE", Modes("AL", "NE")),
    ],
)
def test_modes(fields: str, expected: Modes) -> None:
    found = modes(received(extra=fields))
    assert found == expected
    assert found.original == (fields == "")


@pytest.mark.parametrize(
    ("condition", "success", "failure"),
    [("AL", True, True), ("NE", False, False), ("ER", False, True), ("SU", True, False), ("", False, False)],
)
def test_when_an_acknowledgment_is_wanted(condition: str, success: bool, failure: bool) -> None:
    assert (wanted(condition, True), wanted(condition, False)) == (success, failure)


@pytest.mark.parametrize("version", [one for one in VERSIONS if one not in ("2.1", "2.7.1")])
@pytest.mark.parametrize("problems", [[], [MISSING]])
def test_hl7apy_finds_them_valid(version: str, problems: list[Refused]) -> None:
    code = "AE" if problems else "AA"
    text = acknowledge(received(version), "AE" if problems else "AA", "G1", problems, NOW).decode()
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    assert parsed.version == version
    assert parsed.msa.msa_1.value == code
    assert parsed.msa.msa_2.value == "77\\T\\8"
    assert parsed.msh.msh_5.value == "LAB"
    # It can only validate what names its structure, which older versions do not.
    assert version in ("2.2", "2.3") or parsed.validate() is True


@given(
    st.sampled_from(["2.1", "2.3", "2.5", "2.8.2", "", "9"]),
    st.lists(
        st.builds(
            Problem,
            st.sampled_from(sorted(CONDITIONS)),
            st.none() | st.builds(Place, st.just("OBX"), *[st.integers(0, 9)] * 5),
            st.text(max_size=30).filter(lambda said: said != '""'),
        ),
        max_size=3,
    ),
    st.sampled_from(["MSH|^~\\&", "MSH|^~\\&#", "MSH|^", "MSH|^~"]),
)
def test_every_answer_is_a_message_whatever_it_tells(version: str, problems: list[Problem], start: str) -> None:
    raw = acknowledge(received(version, start=start), "AE", "G1", problems, NOW)
    assert not {0x0B, 0x1C, 0x0A} & set(raw)
    answer = Message(raw.decode())
    assert answer.message_type == "ACK"
    assert [segment.name for segment in answer][:2] == ["MSH", "MSA"]
    errors = answer.all("ERR")
    if version in ("2.5", "2.8.2") and start != "MSH|^":
        assert [error.text(3) for error in errors] == [str(problem.code) for problem in problems]
    if version in ("2.5", "2.8.2") and "\\" in start:
        controls = {number: None for number in range(32) if number not in (9, 10, 13)}
        for error, problem in zip(errors, problems, strict=True):
            # Control characters come back as the numbers that they were sent as.
            told = re.sub(r"\\X[01][0-9A-F]\\", "", error.first(8).text)
            assert told == problem.said.translate(controls) or "\\X" in problem.said
