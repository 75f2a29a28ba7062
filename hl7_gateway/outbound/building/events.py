"""Which trigger event a change is, told by comparing a version with the one before. docs/hl7-outbound.md, "Events" """

from __future__ import annotations

from typing import Final

from hl7_gateway.outbound.building import places
from hl7_gateway.outbound.building.sources import Resource, Untold

_HERE: Final = frozenset({"arrived", "triaged", "in-progress"})
_BEDS: Final = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC"})
"""Classes of those who stay overnight. https://terminology.hl7.org/ValueSet-v3-ActEncounterCode.html"""


def merged_into(patient: Resource) -> Resource | None:
    """The reference to the patient who a patient lives on as, None where they are themselves."""
    links = (one for one in patient.get("link", ()) if one.get("type") == "replaced-by")
    return next((one["other"] for one in links if "other" in one), None)


def of_patient(before: Resource | None, after: Resource | None) -> str:
    """A28 a person is new (or in use again), A31 changed, A29 not in use any more, A40 merged. Raises Untold."""
    if after is None:
        if before is None or merged_into(before) is not None or before.get("active") is False:
            raise Untold("A patient was deleted who was not in use.")
        return "A29"
    if merged_into(after) is not None:
        if before is not None and merged_into(before) is not None:
            raise Untold("The patient lives on as another one, of whom it would be told.")
        return "A40"
    if after.get("active") is False:
        if before is None:
            raise Untold("The patient has never been in use.")
        return "A31" if before.get("active") is False else "A29"
    return "A28" if before is None or before.get("active") is False else "A31"


def of_encounter(before: Resource | None, after: Resource | None) -> str:
    """What has become of a visit. Raises Untold."""
    if after is None or after.get("status") == "entered-in-error":
        if before is None or before.get("status") == "entered-in-error":
            raise Untold("The visit has never been told.")
        return "A23"
    status = after.get("status")
    was = before.get("status") if before is not None else None
    if status == "cancelled":
        if was is None:
            raise Untold("The visit was cancelled before it was told.")
        return "A08" if was == "cancelled" else "A38" if was == "planned" else "A11"
    if status == "planned":
        return "A05" if was != "planned" else "A08"
    if status == "finished":
        return "A08" if was == "finished" else "A03"
    if status == "onleave":
        return "A08" if was == "onleave" else "A21"
    if status in _HERE:
        return _present(before, after, was)
    return "A08"


def _present(before: Resource | None, after: Resource, was: str | None) -> str:
    """Of a patient who is there."""
    stays = _stays(after)
    if before is None or was not in (*_HERE, "finished", "onleave"):
        return "A01" if stays else "A04"
    if was == "finished":
        return "A13"
    if was == "onleave":
        return "A22"
    if stays != _stays(before):
        return "A06" if stays else "A07"
    here = places.current(after)
    return "A02" if here is not None and here != places.current(before) else "A08"


def _stays(encounter: Resource) -> bool:
    return encounter.get("class", {}).get("code") in _BEDS


def of_appointment(before: Resource | None, after: Resource | None) -> str:
    """S12 booked, S13 moved, S14 changed, S15 cancelled, S17 deleted, S26 the patient did not come. Raises Untold."""
    if after is None or after.get("status") == "entered-in-error":
        if before is None or before.get("status") == "entered-in-error":
            raise Untold("The appointment has never been told.")
        return "S17"
    status = after.get("status")
    if status in ("proposed", "pending", "waitlist") and before is None:
        raise Untold("The appointment is not booked yet.")
    was = before.get("status") if before is not None else None
    if status == "cancelled":
        if before is None:
            raise Untold("The appointment was cancelled before it was told.")
        return "S14" if was == "cancelled" else "S15"
    if status == "noshow":
        return "S14" if was == "noshow" else "S26"
    if before is None or was in ("proposed", "pending", "waitlist", "cancelled", "noshow"):
        return "S12"
    return "S14" if _when(before) == _when(after) else "S13"


def _when(appointment: Resource) -> tuple[object, object]:
    return appointment.get("start"), appointment.get("end")
