"""What a message says, and what it takes away: https://hl7.org/fhir/R4/conformance-rules.html"""

from __future__ import annotations

from hl7_gateway.conversion.draft import Draft, Said, Stated
from hl7_gateway.conversion.families.required import known_of


def test_what_is_said_is_known_and_what_is_taken_away_is_not() -> None:
    draft = Draft("Goal#1", "Goal")
    assert not known_of(draft, "description")
    draft.stated.append(Stated("description", "GOL-3", ()))
    assert not known_of(draft, "description")
    draft.stated.append(Stated("description", "GOL-3", (Said({"text": "x"}, {}),)))
    assert known_of(draft, "description")
    assert not known_of(draft, "subject")
