"""Real messages of hospitals become valid resources. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied

SAMPLES = Path(__file__).parents[4].parent / "shared" / "data" / "hl7v2"
FILES = sorted(SAMPLES.glob("*.hl7"))


def read(path: Path) -> Message:
    return Message(path.read_bytes().decode("utf-8-sig"))


@pytest.mark.skipif(not FILES, reason="the sample messages are not on this machine")
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_message_becomes_valid_resources(path: Path) -> None:
    message = read(path)
    conversion = convert(message, FEED)
    resources = applied(conversion)
    assert resources
    for name, resource in resources.items():
        found = issues(resource, warnings=False)
        assert not found, (name, [str(issue) for issue in found])


def test_every_family_has_events() -> None:
    assert all(events for _, events in FAMILIES.values())
