"""Files and batches taken apart. https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.10.3 HL7 batch protocol" """

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.message import Message
from hl7_gateway.problems import Malformed
from hl7_gateway.wire.batch import batched, split


def one(number: int) -> str:
    return f"MSH|^~\\&|LAB||||||ADT^A01|{number}|P|2.5\rPID|1||{number}\r"


FILE = "FHS|^~\\&|LAB\rBHS|^~\\&|LAB\r" + one(1) + one(2) + "BTS|2\rBHS|^~\\&|LAB\r" + one(3) + "BTS|1|comment\rFTS|2\r"


def told(text: str) -> list[str]:
    return [f"{problem.place}: {problem.said}" for problem in split(text).problems]


def test_a_file_of_two_batches() -> None:
    batch = split(FILE)
    assert batch.messages == [one(1), one(2), one(3)]
    assert batch.problems == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_line_end(end: str) -> None:
    batch = split("\ufeff" + FILE.replace("\r", end))
    assert [Message(text).control_id for text in batch.messages] == ["1", "2", "3"]
    assert [Message(text).segments[1][3] for text in batch.messages] == ["1", "2", "3"]
    assert batch.problems == []


def test_messages_without_headers() -> None:
    assert split(one(1) + "\r" + one(2)).messages == [one(1), one(2)]
    assert split(one(1)).messages == [one(1)]
    assert split(one(1) + one(2)).problems == []


def test_trailers_without_counts_and_with_zeros() -> None:
    assert told(FILE.replace("BTS|2", "BTS").replace("FTS|2", "FTS|").replace("BTS|1|", "BTS|01|")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FILE.replace("BTS|2", "BTS|3"), "BTS-1: it must count the messages of the batch, of which 2 came"),
        (FILE.replace("FTS|2", "FTS|1"), "FTS-1: it must count the batches of the file, of which 2 came"),
        (FILE.replace("BTS|2", "BTS|two"), "BTS-1: it must count the messages of the batch, of which 2 came"),
        (FILE.replace("FTS|2\r", ""), "None: the FTS of a FHS is missing: the file may be cut off"),
        (FILE.replace("BTS|2\r", ""), "BHS[2]: the BTS of a BHS is missing: the file may be cut off"),
        (FILE.replace("FHS|^~\\&|LAB\r", ""), "FTS: its FHS is missing"),
        (one(1) + "BTS|1\r", "BTS: its BHS is missing"),
        ("BHS|^~\\&|LAB\r" + one(1), "None: the BTS of a BHS is missing: the file may be cut off"),
        ("PID|1||SMITH\r" + one(1), "None: segments that are of no message: each message begins with MSH"),
        (
            FILE.replace("BTS|2\r", "BTS|2\rPID|1||SMITH\r"),
            "BTS: segments that are of no message: each message begins with MSH",
        ),
        ("", "None: there is no message"),
        ("FHS|^~\\&\rFTS|0\r", "None: there is no message"),
    ],
)
def test_what_is_wrong_with_a_file(text: str, expected: str) -> None:
    assert expected in told(text)
    assert "SMITH" not in str(told(text))
    assert split(text).messages == split(text.replace("PID|1||SMITH\r", "")).messages


def test_other_delimiters() -> None:
    text = "BHS:;~\\&:LAB\rMSH:;~\\&:LAB:::::ADT;A01:1\rPID:1\rBTS:1\r"
    assert split(text).problems == []
    assert Message(split(text).messages[0]).delimiters.field == ":"


def test_what_is_more_than_a_message() -> None:
    assert not batched(one(1))
    assert not batched("\n" + one(1))
    assert not batched("")
    assert not batched(one(1) + "OBX|1|TX|||see the MSH|x segment\r")
    assert batched(one(1) + one(2))
    assert batched(FILE)
    assert batched("BHS|^~\\&\r" + one(1) + "BTS|1\r")


@given(st.lists(st.integers(1, 99), min_size=1, max_size=8), st.integers(0, 8), st.sampled_from(["\r", "\n", "\r\n"]))
def test_no_message_is_lost_or_doubled(numbers: list[int], cut: int, end: str) -> None:
    cut = min(cut, len(numbers))
    parts = [numbers[:cut], numbers[cut:]]
    text = "FHS|^~\\&\r"
    for part in parts:
        text += "BHS|^~\\&\r" + "".join(map(one, part)) + f"BTS|{len(part)}\r"
    batch = split((text + "FTS|2\r").replace("\r", end))
    assert [Message(message).control_id for message in batch.messages] == [str(number) for number in numbers]
    assert batch.problems == []


@pytest.mark.parametrize("unit", ["MSH|", "\r", "BTS|", "\rBTS|9", "\rFHS|^", "\rBHS|^", "\rMSH|^", " \t", "\r "])
def test_a_hostile_file_takes_linear_time(unit: str) -> None:
    began = time.thread_time()
    split(one(1) + unit * (60_000 // len(unit)))
    assert time.thread_time() - began < 1


def test_what_is_wrong_does_not_fill_the_memory() -> None:
    assert len(split(one(1) + "\rBTS|9" * 1_000).problems) == 100


def test_too_many_messages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hl7_gateway.wire.batch._MESSAGES", 1_000)
    assert len(split("MSH|^\r" * 1_000).messages) == 1_000
    with pytest.raises(Malformed, match="1,000 messages"):
        split("MSH|^\r" * 1_001)
