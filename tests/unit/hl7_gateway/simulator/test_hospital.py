"""The simulated hospital: what it sends is right by the standard, and makes sense as a story. docs/hl7.md"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest

from hl7_gateway.lint import lint
from hl7_gateway.message import Message
from hl7_gateway.simulator.hospital import MIX, messages
from hl7_gateway.wire.checks import check

START = datetime(2026, 11, 26, 8, tzinfo=UTC)


def story(count: int, seed: int = 7, beds: int = 12) -> list[Message]:
    return [Message(raw.decode()) for raw in islice(messages(seed, beds, START), count)]


@pytest.fixture(scope="module")
def long() -> list[Message]:
    return story(1_500)


def test_the_same_seed_tells_the_same_story() -> None:
    first, again, other = (list(islice(messages(seed, 12, START), 200)) for seed in (7, 7, 8))
    assert first == again
    assert not set(first) & set(other)


def test_another_seed_has_other_patients() -> None:
    numbers = [{one.text(3) for message in story(100, seed) for one in message.all("PID")} for seed in (1, 2)]
    assert not numbers[0] & numbers[1]


@pytest.mark.parametrize("beds", [1, 12, 200])
def test_nothing_is_wrong_with_its_messages(beds: int) -> None:
    for message in story(80, seed=beds, beds=beds):
        check(message)
        assert lint(message) == []
        assert message.delimiters.encoding == "^~\\&"


def test_the_mix(long: list[Message]) -> None:
    counted = Counter(message.message_type for message in long)
    assert counted["ADT"] / 1_500 == pytest.approx(MIX["ADT"], abs=0.01)
    assert counted["ORU"] / 1_500 == pytest.approx(MIX["ORU"], abs=0.01)
    assert set(counted) == {"ADT", "ORU", "SIU", "MDM"}
    events = {message.event for message in long}
    assert events == {"A01", "A02", "A03", "A04", "A08", "R01", "S12", "S13", "S15", "S26", "T02"}


def test_control_ids_are_unique_and_times_go_on(long: list[Message]) -> None:
    told = long
    assert len({message.control_id for message in told}) == 1_500
    assert all(len(message.control_id) <= 20 for message in told)
    times = [message.header[7] for message in told]
    assert times == sorted(times)


def test_a_bed_holds_one_patient_and_who_left_is_gone(long: list[Message]) -> None:
    beds: dict[str, str] = {}
    inside: dict[str, str] = {}
    for message in long:
        pv1 = message.first("PV1")
        if message.message_type != "ADT" or pv1 is None:
            continue
        visit, bed = pv1.text(19), pv1[3]
        if message.event in ("A01", "A04"):
            assert visit not in inside
            inside[visit] = bed
        assert inside[visit] == (pv1[6] if message.event == "A02" else bed)
        if message.event == "A02":
            del beds[inside[visit]]
            inside[visit] = bed
        if pv1[2] == "I":
            assert beds.setdefault(bed, visit) == visit
        if message.event == "A03":
            del inside[visit]
            beds.pop(bed, None)
            assert pv1[45] >= pv1[44]
    assert len(beds) <= 12


def test_nobody_is_there_twice(long: list[Message]) -> None:
    present: Counter[str] = Counter()
    for message in long:
        pid = message.first("PID")
        if message.message_type == "ADT" and pid is not None:
            present[pid.text(3)] += {"A01": 1, "A04": 1, "A03": -1}.get(message.event, 0)
            assert present[pid.text(3)] in (0, 1)


def test_a_result_is_preliminary_then_final_then_perhaps_corrected(long: list[Message]) -> None:
    seen: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for message in long:
        obr = message.first("OBR")
        if message.message_type == "ORU" and obr is not None:
            values = {obx.text(3): obx[5] for obx in message.all("OBX")}
            assert {obx[11] for obx in message.all("OBX")} == {obr[25]}
            seen.setdefault(obr.text(3), []).append((obr[25], values))
    stories = Counter("".join(status for status, _ in reports).rstrip("C") for reports in seen.values())
    assert set(stories) <= {"P", "PF", "F"}
    corrected = [reports for reports in seen.values() if reports[-1][0] == "C"]
    assert corrected
    for reports in seen.values():
        for (_, before), (status, after) in pairwise(reports):
            kept = [code for code in before if before[code] == after[code]]
            assert set(before) <= set(after)
            assert len(kept) >= len(before) - (status == "C")


def test_a_hospital_without_beds() -> None:
    with pytest.raises(ValueError, match="bed"):
        next(messages(1, 0, START))
