"""How messages are shown to people. docs/hl7.md, "Dead letters" """

from __future__ import annotations

import pytest

from hl7_gateway.commands.shown import segments

TEXT = "MSH|^~\\&|A\rPID|1||1\nOBX|1\r\nOBX|2\rZPI|x\r"


@pytest.mark.parametrize(
    ("place", "after"),
    [("PID-3", "PID"), ("OBX[2]-5.1", "OBX|2"), ("OBX-5", "OBX|1"), ("ZPI", "ZPI"), ("PV1", ""), ("", "")],
)
def test_what_is_wrong_stands_below_the_segment_that_it_is_in(place: str, after: str) -> None:
    shown = segments(TEXT, place, "is wrong")
    assert len(shown) == 6
    (index,) = [index for index, line in enumerate(shown) if line.endswith("is wrong")]
    assert after in shown[index - 1]
    assert index == 5 or after
    assert shown[0].startswith("header ")
    assert (f"^ {place}: is wrong" if place else "^ is wrong") in shown[index]


def test_a_message_without_a_problem_is_its_segments() -> None:
    assert [line.split()[-1][:3] for line in segments(TEXT, "", "")] == ["MSH", "PID", "OBX", "OBX", "ZPI"]
