"""A message taken apart for a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.console.anatomy import MOST_SEGMENTS, Note, anatomy, worst
from hl7_gateway.message import Message
from hl7_gateway.problems import Place

TEXT = (
    "MSH|^~\\&|EPIC|HOSP|||20260101||ORU^R01|1|P|2.5.1\rPID|||1^^^H~2^^^H||A^B\rOBX|1|NM|a||5\rOBX|2|NM|b||6\rZZZ|x\r"
)


def test_segments_and_fields_have_their_names() -> None:
    found = anatomy(Message(TEXT), ())
    told = {(line.place, line.title) for line in found.lines}
    assert told == {
        ("MSH", "header"),
        ("PID", "patient"),
        ("OBX", "result"),
        ("OBX[2]", "result"),
        ("ZZZ", "local segment"),
    }
    fields = {one.place: one for line in found.lines for one in line.fields}
    assert fields["PID-3"].name == "Patient identifier list"
    assert fields["PID-3"].values == ("1^^^H", "2^^^H")
    assert fields["OBX[2]-5"].values == ("6",)
    assert fields["MSH-1"].values == ("|",)
    assert fields["MSH-2"].values == ("^~\\&",)
    assert fields["ZZZ-1"].name == ""
    assert "PID-4" not in fields, "nothing was sent"


def test_what_is_wrong_stands_at_its_field() -> None:
    notes = [
        Note("error", "OBX[2]-5.1", "a number"),
        Note("warning", "PID-8", "a value is required"),
        Note("information", "ZZZ", "a local segment"),
        Note("error", "PV1-2", "there is no PV1"),
        Note("error", "", "nowhere"),
    ]
    found = anatomy(Message(TEXT), notes)
    tones = {one.place: one.tone for line in found.lines for one in line.fields if one.tone}
    assert tones == {"OBX[2]-5": "error", "PID-8": "warning"}
    assert [line.own[0].said for line in found.lines if line.own] == ["a local segment"]
    assert [note.said for note in found.other] == ["there is no PV1", "nowhere"]


def test_a_long_message_is_shown_in_part_and_what_is_wrong_in_any_case() -> None:
    text = TEXT + "".join(f"NTE|{n}||{'y' * 400}\r" for n in range(1, MOST_SEGMENTS + 50))
    found = anatomy(Message(text), [Note("error", f"NTE[{MOST_SEGMENTS + 40}]-3", "wrong")])
    assert len(found.lines) == MOST_SEGMENTS + 1
    assert found.left == 5 + MOST_SEGMENTS + 49 - len(found.lines)
    assert found.lines[-1].fields[-1].tone == "error"
    assert found.lines[-1].fields[-1].values[0].endswith("\u2026 (400 characters)")


PLACES = st.builds(
    Place,
    st.sampled_from(["PID", "OBX", "ZZ1"]),
    st.integers(1, 30),
    st.integers(1, 99),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(PLACES | st.builds(Place, st.sampled_from(["PID", "OBX"]), st.integers(1, 30)))
def test_a_place_is_read_as_it_is_written(place: Place) -> None:
    assert Note("error", str(place), "").at == (place.segment, place.number, place.field)


@pytest.mark.parametrize(
    ("tones", "expected"),
    [
        ([], ""),
        (["information"], "information"),
        (["warning", "error"], "error"),
        (["information", "warning"], "warning"),
    ],
)
def test_the_worst_counts(tones: list[str], expected: str) -> None:
    assert worst(Note(tone, "", "") for tone in tones) == expected
