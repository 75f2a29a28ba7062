"""What is refused, with which code, and where. https://terminology.hl7.org/CodeSystem-v2-0357.html"""

from __future__ import annotations

from pathlib import Path

import pytest

from hl7_gateway.message import Message
from hl7_gateway.problems import Refused
from hl7_gateway.wire.checks import check, problems
from hl7_gateway.wire.versions import VERSIONS

SAMPLES = Path("/work/shared/data/hl7v2")
SUPPORTED = {"ADT": {"A01", "A04", "A20", "A40"}, "ORU": {"R01"}}
PID = "PID|1||123^^^RIVERSIDE^MR||SMITH^ANNA"


def message(
    kind: str = "ADT^A01", control: str = "1", processing: str = "P", version: str = "2.5.1", *lines: str
) -> Message:
    header = f"MSH|^~\\&|LAB|RIVERSIDE|EHR|CLINIC|1||{kind}|{control}|{processing}|{version}"
    return Message("\r".join([header, *(lines or (PID,))]) + "\r")


def refused(wrong: Message) -> tuple[int, str, str]:
    with pytest.raises(Refused) as caught:
        check(wrong, SUPPORTED)
    assert "SMITH" not in str(caught.value)
    assert "SECRET" not in str(caught.value)
    return caught.value.code, caught.value.acknowledgment, str(caught.value.place)


@pytest.mark.parametrize("version", [*VERSIONS, "", "2.5.1^USA^2.5"])
@pytest.mark.parametrize("processing", ["P", "T", "D", "", "P^T"])
def test_what_is_taken(version: str, processing: str) -> None:
    check(message(version=version, processing=processing), SUPPORTED)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (message(version="3.0"), (203, "AR", "MSH-12")),
        (message(version="SECRET"), (203, "AR", "MSH-12")),
        (message(processing="SECRET"), (202, "AR", "MSH-11")),
        (message("SECRET^A01"), (200, "AR", "MSH-9.1")),
        (message("ADT^Z99"), (201, "AR", "MSH-9.2")),
        (message("ADT^SECRET"), (201, "AR", "MSH-9.2")),
        (message("ADT"), (201, "AR", "MSH-9.2")),
        (message("ORU^A01"), (201, "AR", "MSH-9.2")),
        (message(""), (101, "AE", "MSH-9.1")),
        (message(control=""), (101, "AE", "MSH-10")),
        (message("ADT^A01", "1", "P", "2.5.1", "EVN|A01", "PV1||I"), (101, "AE", "PID")),
        (message("ADT^A01", "1", "P", "2.5.1", "PID|1||^^^RIVERSIDE||SMITH"), (101, "AE", "PID-3")),
        (message("ADT^A01", "1", "P", "2.5.1", 'PID|1||""||SMITH'), (101, "AE", "PID-3")),
        (message("ADT^A40", "1", "P", "2.5.1", PID), (101, "AE", "MRG")),
        (message("ADT^A40", "1", "P", "2.5.1", PID, "MRG|1", PID, "MRG|"), (101, "AE", "MRG[2]-1")),
        (message("ADT^A40", "1", "P", "2.5.1", PID, "MRG|1", "PID|2", "MRG|2"), (101, "AE", "PID[2]-3")),
        (message("ORU^R01"), (101, "AE", "OBR")),
    ],
)
def test_what_is_refused(wrong: Message, expected: tuple[int, str, str]) -> None:
    assert refused(wrong) == expected


def test_what_is_tolerated() -> None:
    check(message("ADT^A20", "1", "P", "2.3", "NPU|1^2|O"), SUPPORTED)
    check(message("ADT^A01", "1", "P", "2.2", "PID|1|123"), SUPPORTED)
    check(message("ADT", "1", "P", "2.2", "EVN|A01", PID), SUPPORTED)
    check(message("ORU^R01", "1", "P", "2.2", "OBR|1"), SUPPORTED)
    check(message("ADT^Z99"))
    check(message("ZZZ^Z99"))


def test_a_feed_may_take_training_only() -> None:
    with pytest.raises(Refused, match="MSH-11: the processing id must be one of T"):
        check(message(), processing_ids=("T",))


def test_all_that_is_wrong_is_told() -> None:
    wrong = message("ADT^A40", "", "X", "9", "EVN|A40")
    assert [problem.code for problem in problems(wrong, SUPPORTED)] == [203, 202, 101, 101, 101]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the sample messages")
def test_every_sample_is_taken() -> None:
    paths = sorted(SAMPLES.glob("*.hl7"))
    for path in paths:
        check(Message(path.read_text(encoding="utf-8-sig")))
    assert len(paths) == 66
