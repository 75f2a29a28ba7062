"""What fields are called."""

from __future__ import annotations

import pytest

from hl7_gateway.conformance.names import field_names
from hl7_gateway.wire.versions import USUAL


@pytest.mark.parametrize(
    ("segment", "number", "name"),
    [
        ("PID", 3, "Patient identifier list"),
        ("PID", 6, "Mother's maiden name"),
        ("PID", 7, "Date/time of birth"),
        ("PV1", 2, "Patient class"),
        ("AL1", 1, "Set ID AL1"),
        ("MSH", 1, "Field separator"),
    ],
)
def test_fields_have_names_for_people(segment: str, number: int, name: str) -> None:
    assert field_names(USUAL, segment)[number] == name


@pytest.mark.parametrize(("version", "segment"), [("2.1", "PID"), ("2.8.2", "OBX"), ("2.3", "PV1")])
def test_every_version_has_them(version: str, segment: str) -> None:
    assert all(field_names(version, segment).values())


def test_other_segments_have_none() -> None:
    assert field_names(USUAL, "ZZZ") == {}
