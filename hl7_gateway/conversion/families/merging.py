"""MRG: patients, accounts and visits that turn out to be the same, or another's. docs/hl7.md, "What events mean" """

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.identifiers import cx, pair
from hl7_gateway.conversion.datatypes.names import xpn
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place, Refused

PATIENTS: Final = frozenset({"A18", "A30", "A34", "A36", "A39", "A40"})
ACCOUNTS: Final = frozenset({"A35", "A36", "A41"})
RENUMBERED: Final = frozenset({"A46", "A47"})


def mrg(walk: Walk, segment: Segment) -> None:
    """What the patient of the PID before it was, or had, under other numbers."""
    patient = walk.current.get("Patient")
    if patient is None:
        return
    if walk.event in PATIENTS:
        _merge_patients(walk, segment, patient)
    elif walk.event in RENUMBERED:
        _renumber(walk, segment, patient)
    if walk.event in ACCOUNTS:
        _merge_accounts(walk, segment, patient)


def _merge_patients(walk: Walk, segment: Segment, surviving: Draft) -> None:
    """The patient of MRG-1 lives on as that of the PID."""
    walk.read(segment, 1, 2, 4, 7)
    known = dict.fromkeys(
        found
        for field in (1, 2, 4)
        for value in segment.repetitions(field)
        if (found := pair(value, walk)) is not None and found not in surviving.identifiers
    )
    if not known:
        if segment[1]:
            # Merged into themselves: nothing is to be done.
            return
        raise Refused(101, "AE", Place("MRG", segment.number, 1), "A merge names the patient who is to be retired.")
    retired = walk.draft("Patient")
    retired.stub = True
    retired.identifiers = list(known)
    for number, value in enumerate(segment.repetitions(1), 1):
        walk.here = (segment, 1, number)
        identifier = cx()(value, walk)
        if identifier:
            walk.gather(retired, "identifier", *identifier, slot="PID-3")
    name = xpn(segment.first(7), walk) if segment[7] else None
    if name:
        walk.at(segment, 7)
        walk.state(retired, "name", *name, slot="PID-5")
    walk.merge(retired, surviving)


def _renumber(walk: Walk, segment: Segment, patient: Draft) -> None:
    """The patient of MRG-1 has the numbers of the PID from now on; the old one is kept as an old one."""
    walk.at(segment, 1)
    now = set(patient.identifiers)
    before = [found for value in segment.repetitions(1) if (found := pair(value, walk)) is not None]
    patient.identifiers = list(dict.fromkeys([*before, *patient.identifiers]))
    for number, value in enumerate(segment.repetitions(1), 1):
        if pair(value, walk) in now:
            # A list of numbers of which some stay.
            continue
        walk.here = (segment, 1, number)
        made = cx(use="old")(value, walk)
        if made:
            walk.gather(patient, "identifier", *made, slot="MRG-1")


def _merge_accounts(walk: Walk, segment: Segment, patient: Draft) -> None:
    """The account of MRG-3 lives on as that of PID-18."""
    surviving = walk.current.get("Account")
    walk.at(segment, 3)
    known = pair(segment.first(3), walk)
    identifier = cx("AN")(segment.first(3), walk)
    if surviving is None or known is None or identifier is None or known in surviving.identifiers:
        return
    retired = walk.draft("Account")
    retired.stub = True
    retired.identifiers = [known]
    walk.state(retired, "identifier", *identifier, slot="PID-18")
    walk.state(retired, "status", "inactive", slot="PID-18#status", initial=True)
    walk.state(retired, "subject", patient.reference, slot="PID-18#subject")
    walk.merge(retired, surviving)


def finish_links(walk: Walk) -> None:
    """A24 links two patients who stay two; A37 takes that back. A29 takes a person out of use."""
    patients = [draft for draft in walk.conversion.drafts if draft.type == "Patient" and not draft.stub]
    event = walk.message.first("EVN")
    walk.at(event if event is not None else walk.message.header)
    if walk.event in ("A24", "A37") and len(patients) == 2:
        for one, other in (patients, reversed(patients)):
            if walk.event == "A24":
                walk.state(one, "link", {"other": other.reference, "type": "seealso"}, slot="A24#link")
            else:
                walk.take_back(one, "link", "A24#link")
    elif walk.event in ("A28", "A29"):
        for one in patients:
            one.stated = [said for said in one.stated if said.path != "active"]
            walk.state(one, "active", walk.event == "A28", slot="PID#active")
