"""What messages say one by one, and FHIR does not have together. https://hl7.org/fhir/R4/appointment.html#invs"""

from __future__ import annotations

from typing import Any, Final

from fhir_server.validation.conditions import after
from hl7_gateway.conversion.draft import ENDS_EARLY

UNTIMED: Final = "Without a time an appointment is proposed."
PROPOSED: Final = "proposed"

_UNTIMED: Final = (PROPOSED, "cancelled", "waitlist")
"""What an appointment without a time can be."""


def ends_early(body: dict[str, Any]) -> bool:
    """Whether the period of a resource ends before it starts."""
    lasting = body.get("period")
    return isinstance(lasting, dict) and after(lasting.get("start"), lasting.get("end"))


def untimed(kind: str, body: dict[str, Any]) -> bool:
    """Whether it is an appointment that cannot be what it is without a time."""
    return kind == "Appointment" and "start" not in body and body.get("status") not in _UNTIMED


def mend(resource: dict[str, Any]) -> list[str]:
    """Make a resource that nothing is known of before what the store would make of it; what was said of that."""
    said = []
    if ends_early(resource):
        del resource["period"]["end"]
        said.append(ENDS_EARLY)
    if untimed(resource["resourceType"], resource):
        resource["status"] = PROPOSED
        said.append(UNTIMED)
    return said
