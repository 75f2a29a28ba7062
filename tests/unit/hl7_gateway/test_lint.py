"""Conformance of messages, by hand and by hl7apy's validator. https://www.hl7.eu/HL7v2x/v281/std281/ch02b.html"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7_gateway.commands.lint import lint as command
from hl7_gateway.lint import event_structure, lint, lint_bytes
from hl7_gateway.message import Message

SAMPLES = Path("/work/shared/data/hl7v2")
MSH = "MSH|^~\\&|LAB|RIVERSIDE|EHR|CLINIC|20240818||{kind}|1|P|{version}"
PID = "PID|1||123^^^RIVERSIDE^MR||SMITH^ANNA||19610504|F"
ADMISSION = ("EVN||20240818112615.1234-0600", PID, "PV1|1|I")


def findings(*lines: str, kind: str = "ADT^A01^ADT_A01", version: str = "2.5.1") -> list[str]:
    message = Message("\r".join([MSH.format(kind=kind, version=version), *lines]) + "\r")
    told = [str(finding) for finding in lint(message)]
    assert "SMITH" not in str(told)
    assert "SECRET" not in str(told)
    return told


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"])
def test_nothing_to_tell_of_a_good_message(version: str) -> None:
    assert findings(*ADMISSION, version=version) == []


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3"])
def test_nor_of_an_old_one(version: str) -> None:
    event = "EVN|A01|20240818"
    lines = (event, "PID|||123||SMITH^ANNA", "PV1||I|2^3^4") if version != "2.1" else (event, "PID|||123||SMITH^ANNA")
    found = findings(*lines, kind="ADT^A01" if version != "2.1" else "ADT", version=version)
    assert [one for one in found if one.startswith("error") and "PV1" not in one and "NK1" not in one] == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (ADMISSION[:2], "error PV1: the segment is required after PID"),
        (ADMISSION[1:], "error EVN: the segment is required after MSH"),
        ((ADMISSION[0], "PV1|1|I"), "error PID: the segment is required"),
        ((ADMISSION[0], "PID|1||123^^^R||SMITH||SECRET", "PV1|1|I"), "warning PID-7.1: it must be a time as"),
        ((*ADMISSION, "PD1|1"), "warning PD1: it stands where ADT_A01 has none, or is one too many"),
        ((*ADMISSION, "TXA|1|SECRET"), "warning TXA: ADT_A01 has no such segment"),
        ((*ADMISSION, "ZPI|SECRET"), "information ZPI: a local segment"),
        ((*ADMISSION, "XYZ|SECRET"), "warning XYZ: version 2.5.1 has no such segment"),
        ((ADMISSION[0], PID, PID, "PV1|1|I"), "warning PID[2]: it stands where ADT_A01 has none, or is one too many"),
        ((ADMISSION[0], "PID|1||||SMITH", "PV1|1|I"), "error PID-3: an identifier of the patient is required"),
        ((ADMISSION[0], "PID|1||1", "PV1|1|I"), "error PID-5: a value is required"),
        ((ADMISSION[0], PID, "PV1|1"), "error PV1-2: a value is required"),
        ((ADMISSION[0], PID + "~SECRET", "PV1|1|I"), "warning PID-8: it may have 1 repetition"),
        ((ADMISSION[0], "PID|x||1||SMITH", "PV1|1|I"), "warning PID-1: it must be a number from 0 to 9999"),
        ((*ADMISSION, "OBX|1|NM|1||SECRET||||||F"), "warning OBX-5: it must be a number"),
        (
            (*ADMISSION, "OBX|1|SECRET|1||1||||||F"),
            "warning OBX-2: the value type must be a data type of version 2.5.1",
        ),
        ((*ADMISSION, "OBX|1|CE|1||1^2^3^4^5^6^SECRET||||||F"), "warning OBX-5: its data type CE has 6 components"),
        ((*ADMISSION, "OBX|1|TX|1||a^b||||||F"), "warning OBX-5: its data type TX has no components"),
        (
            (*ADMISSION, "OBX|1|TX|1||a||||||SECRET"),
            "warning OBX-11: its code must be one of table 0085 of version 2.5.1",
        ),
        ((*ADMISSION, "OBX|1|TX|1||a\nSECRET||||||F"), "error OBX: a line end within a text must be escaped"),
        ((ADMISSION[0], PID + "|" * 40 + "SECRET", "PV1|1|I"), "warning PID-48: PID has 39 fields in version 2.5.1"),
    ],
)
def test_what_is_wrong_and_where(lines: tuple[str, ...], expected: str) -> None:
    found = findings(*lines)
    assert any(one.startswith(expected) for one in found), found
    assert len(found) <= 3


def test_a_structure_that_is_not_the_event_s() -> None:
    found = findings(*ADMISSION, kind="ADT^A04^ADT_A04")
    assert found == ["warning MSH-9.3: the structure of this event is ADT_A01 in version 2.5.1"]


def test_an_event_that_the_version_does_not_have() -> None:
    (found,) = findings(*ADMISSION, kind="ADT^Z99")
    assert found.startswith("warning MSH-9.2: version 2.5.1 must have the trigger event")


@pytest.mark.parametrize(
    ("kind", "event", "version", "name"),
    [
        ("ADT", "A08", "2.5", "ADT_A01"),
        ("ADT", "A08", "2.2", "ADT_A08"),
        ("ADT", "A40", "2.8", "ADT_A39"),
        ("ADT", "A31", "2.4", "ADT_A05"),
        ("ORU", "R01", "2.3", "ORU_R01"),
        ("MDM", "T10", "2.6", "MDM_T02"),
        ("SIU", "S26", "2.7", "SIU_S12"),
        ("PPR", "PC3", "2.5.1", "PPR_PC1"),
        ("VXU", "V04", "2.5.1", "VXU_V04"),
    ],
)
def test_structures_by_event(kind: str, event: str, version: str, name: str) -> None:
    found = event_structure(kind, event, version)
    assert found is not None
    assert found.name in (name, f"{kind}_{event}")


def test_groups_and_repetitions_of_a_result() -> None:
    observation = "OBX|1|NM|GLU^Glucose^L||5.4|mmol/L|||||F"
    order = "OBR|1|1|2|CHEM^Chemistry^L"
    lines = (
        PID,
        "PV1|1|I",
        "ORC|RE",
        order,
        "NTE|1||SECRET",
        observation,
        observation,
        "NTE|1||x",
        "SPM|1|||BLD",
        order,
    )
    assert findings(*lines, observation, kind="ORU^R01^ORU_R01") == []
    assert findings(PID, observation, kind="ORU^R01^ORU_R01") == [
        "warning OBX: it stands where ORU_R01 has none, or is one too many",
        "error OBR: the segment is required",
    ]


def test_bytes_that_are_no_message_or_not_of_their_character_set() -> None:
    assert str(lint_bytes(b"hello")[0]).startswith("error MSH: The message does not begin with an MSH segment")
    raw = MSH.format(kind="ADT^A01", version="2.5.1").encode() + b"||||||KLINGON\r"
    assert "warning MSH-18: the character set must be one of table 0211" in map(str, lint_bytes(raw))
    raw = MSH.format(kind="ADT^A01", version="2.5.1").encode() + b"||||||UNICODE UTF-8\rPID|1||\xff\r"
    assert any(str(finding).startswith("error MSH-18: there are bytes") for finding in lint_bytes(raw))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the sample messages")
def test_the_samples_and_what_hl7apy_misses_in_them(tmp_path: Path) -> None:
    """Every required field that its validator misses is told; it knows the place of a field only by its segment."""
    compared = 0
    for path in sorted(SAMPLES.glob("*.hl7")):
        raw = path.read_bytes()
        told = lint_bytes(raw)
        assert len(told) < 200
        if path.stem not in ("MDM-T02-01", "ORU-R01-01", "VXU"):
            continue
        ours = {f"{one.place.segment}_{one.place.field}" for one in told if one.said == "a value is required"}
        theirs = _missing(raw.decode("utf-8-sig").replace("\r\n", "\r").replace("\n", "\r"), tmp_path / "report")
        compared += len(theirs)
        assert theirs <= ours, path.name
    assert compared >= 3


def _missing(text: str, report: Path) -> set[str]:
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT)
    with suppress(HL7apyException):
        parsed.validate(report_file=str(report))
    found = set(re.findall(r"Missing required child ([A-Z]\w\w)\.\1(_\d+)$", report.read_text(), re.M))
    return {name + number for name, number in found}


@given(
    st.lists(
        st.sampled_from(["PID", "PV1", "OBX", "OBR", "NTE", "ZZZ", "QQQ", "RXE", "SCH"]).flatmap(
            lambda name: st.text("|^~&\\1AX2024", max_size=30).map(lambda rest: f"{name}|{rest}")
        ),
        max_size=12,
    ),
    st.sampled_from(["ADT^A01", "ORU^R01", "ORM^O01", "SIU^S12", "MFN^M01", "PGL^PC6", "CCM^I21", "X"]),
    st.sampled_from(["2.1", "2.2", "2.3", "2.5", "2.8.2", "", "9"]),
)
@settings(max_examples=50, deadline=None)
def test_any_message_can_be_looked_at(lines: list[str], kind: str, version: str) -> None:
    message = Message("\r".join([MSH.format(kind=kind, version=version), *lines]) + "\r")
    for finding in lint(message):
        assert str(finding)


def test_a_hostile_message_is_told_of_in_bounded_time() -> None:
    began = time.thread_time()
    text = MSH.format(kind="ADT^A01", version="2.5.1") + "\r" + "PID|1\rOBX|x|NM|" * 4_000 + "\rOBX|" + "~" * 50_000
    assert 400 <= len(lint(Message(text))) <= 500
    assert time.thread_time() - began < 3


def test_the_command(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.hl7", tmp_path / "bad.hl7"
    text = "\r".join([MSH.format(kind="ADT^A01^ADT_A01", version="2.5.1"), *ADMISSION, "ZPI|1"]) + "\r"
    good.write_text(text)
    bad.write_text(text + text.replace("PV1|1|I", "PV1|1"))
    result = CliRunner().invoke(command, [str(good)])
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "1 information"
    result = CliRunner().invoke(command, ["--errors-only", str(bad)])
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == "bad.hl7[2]: error PV1-2: a value is required"
    empty = tmp_path / "empty.hl7"
    empty.write_text("")
    assert CliRunner().invoke(command, [str(empty)]).exit_code == 1
