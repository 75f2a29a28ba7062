"""PRB, GOL, PTH, VAR: Condition of the problem list, Goal, CarePlan. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import ei_pair
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.datatypes.simple import clean, stamp
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.observations import obx
from hl7_gateway.conversion.families.participants import rol
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.families.results import order_obr
from hl7_gateway.conversion.maps.problems import (
    GOAL,
    GOL_GOAL,
    PLAN,
    PRB_CONDITION,
    PROBLEM,
    PTH_CARE_PLAN,
    clinical,
    verified,
    word,
)
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_ERROR: Final = "entered-in-error"
_ABATED: Final = frozenset({"inactive", "resolved", "remission"})
_ASSERTING: Final = frozenset({"IP", "RO", "VP"})
"""Roles (table 0443) of who says that there is a problem: initiating provider, responsible observer, verifier."""


def _known(walk: Walk, segment: Segment, made: Draft, patient: Draft) -> None:
    """By the instance id (field 4), which its sender makes unique, else by what it is of the patient."""
    known = ei_pair(segment.first(4 if segment.name != "PTH" else 3), walk)
    made.identifiers = [known] if known else []
    what = key_of(segment, 3 if segment.name != "PTH" else 2)
    made.natural = (segment.name, DRAFT + patient.name, what)


def _deleted(walk: Walk, segment: Segment) -> bool:
    """Whether it is taken back: by the action (table 0287), or, of a problem, by the event."""
    walk.at(segment, 1)
    action = segment.text(1).strip().upper()
    return action == "DE" or (walk.event == "PC3" and segment.name == "PRB")


def prb(walk: Walk, segment: Segment) -> None:
    """A problem of the patient."""
    patient = walk.current.get("Patient")
    if patient is None or not (segment[3] or segment[4]):
        return
    for name in ("Goal", "CarePlan", "ServiceRequest"):
        walk.current.pop(name, None)
    made = walk.draft("Condition")
    walk.current["Condition"] = walk.current["noted"] = made
    _known(walk, segment, made, patient)
    PRB_CONDITION.apply(segment, made, walk)
    walk.at(segment)
    walk.state(made, "subject", patient.reference, slot="PRB#subject")
    walk.state(made, "category", PROBLEM, slot="PRB#category")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(made, "encounter", encounter.reference, slot="PRB#encounter")
    if _deleted(walk, segment):
        # R4 has no abatement without a clinical status, and no clinical status of an error.
        made.stated = [said for said in made.stated if said.path != "abatementDateTime"]
        walk.take_back(made, "abatementDateTime", "PRB-9")
        walk.take_back(made, "clinicalStatus", "PRB-14")
        _status(walk, made, "verificationStatus", _ERROR, "condition-ver-status", "PRB-13")
        return
    _clinical(walk, segment, made)
    field, status = verified(segment)
    if status:
        walk.at(segment, field)
        _status(walk, made, "verificationStatus", status, "condition-ver-status", "PRB-13")
    elif segment.text(1).strip().upper() == "AD":
        # What is added is no error, though it may have been deleted as one before.
        walk.take_back(made, "verificationStatus", "PRB-13")


def _clinical(walk: Walk, segment: Segment, made: Draft) -> None:
    """The clinical status. What is over (PRB-9) cannot be active in R4, and what is active is not over."""
    field, status = clinical(segment)
    walk.read(segment, 13, 14)
    abated = any(said.path == "abatementDateTime" and said.values for said in made.stated)
    if abated and status not in _ABATED:
        walk.at(segment, 9)
        if status:
            walk.warn("A problem that has been resolved is not active; it was taken over as resolved.")
        _status(walk, made, "clinicalStatus", "resolved", "condition-clinical", "PRB-14")
    elif status:
        walk.at(segment, field)
        _status(walk, made, "clinicalStatus", status, "condition-clinical", "PRB-14")
        if status not in _ABATED:
            walk.take_back(made, "abatementDateTime", "PRB-9")
    else:
        if segment[14] not in ("", '""'):
            walk.at(segment, 14)
            walk.warn("This life cycle status is not known, and was left out.")
        walk.at(segment)
        active = fixed_concept("active", TERMINOLOGY + "condition-clinical")
        walk.state(made, "clinicalStatus", active, slot="PRB-14", initial=True)


def _status(walk: Walk, made: Draft, path: str, status: str, system: str, slot: str) -> None:
    walk.state(made, path, fixed_concept(status, TERMINOLOGY + system), {"coding[0].code": 1}, slot=slot)


def gol(walk: Walk, segment: Segment) -> None:
    """A goal, of the problem before it."""
    patient = walk.current.get("Patient")
    if patient is None or not (segment[3] or segment[4]):
        return
    made = walk.draft("Goal")
    walk.current["Goal"] = walk.current["noted"] = made
    _known(walk, segment, made, patient)
    GOL_GOAL.apply(segment, made, walk)
    walk.at(segment)
    walk.state(made, "subject", patient.reference, slot="GOL#subject")
    if not known_of(made, "description"):
        walk.state(made, "description", {"text": "unknown"}, slot="GOL-3", initial=True)
    _addresses(walk, made, "GOL")
    _life(walk, segment, made, ("lifecycleStatus", 18, GOAL))


def pth(walk: Walk, segment: Segment) -> None:
    """A pathway that is followed for the problem before it."""
    patient = walk.current.get("Patient")
    if patient is None or not (segment[2] or segment[3]):
        return
    made = walk.draft("CarePlan")
    walk.current["CarePlan"] = walk.current["noted"] = made
    _known(walk, segment, made, patient)
    PTH_CARE_PLAN.apply(segment, made, walk)
    walk.at(segment)
    walk.state(made, "subject", patient.reference, slot="PTH#subject")
    walk.state(made, "intent", "plan", slot="PTH#intent")
    _addresses(walk, made, "PTH")
    _life(walk, segment, made, ("status", 5, PLAN))


def _addresses(walk: Walk, made: Draft, name: str) -> None:
    problem = walk.current.get("Condition")
    if problem is not None:
        walk.state(made, "addresses", problem.reference, slot=f"{name}#addresses")


def _life(walk: Walk, segment: Segment, made: Draft, rule: tuple[str, int, Mapping[str, str]]) -> None:
    """Where it is in its life; one of which nothing is said is active."""
    path, field, words = rule
    slot = f"{segment.name}-{field}"
    if _deleted(walk, segment):
        walk.state(made, path, _ERROR, slot=slot)
        return
    walk.at(segment, field)
    status = word(segment.first(field), words)
    if status:
        walk.state(made, path, status, {"": 1}, slot=slot)
        return
    if segment[field] not in ("", '""'):
        walk.warn("This life cycle status is not known, and was left out.")
    walk.state(made, path, "active", slot=slot, initial=True)


_VARYING: Final = frozenset({"Condition", "Goal", "CarePlan", "ServiceRequest", "Observation"})


def var(walk: Walk, segment: Segment) -> None:
    """Why something goes otherwise than planned: a note on what stands before it."""
    owner = walk.current.get("noted")
    said = "\n".join(line for value in segment.repetitions(6) if (line := clean(value.whole.strip())))
    if owner is None or owner.type not in _VARYING or not said:
        return
    walk.at(segment, 6)
    found: dict[str, Any] = {"text": said}
    parts: Parts = {"text": 0}
    when = stamp(segment.text(3).strip() or segment.text(2), walk)
    if when:
        walk.read(segment, 2, 3)
        found["time"] = when
        parts["time"] = Place("VAR", segment.number, 3 if segment[3] else 2)
    if segment[4]:
        walk.at(segment, 4)
        author = practitioner(segment.first(4), walk)
        if author and "reference" in author[0]:
            found["authorReference"] = author[0]
        elif author:
            found["authorString"] = author[0]["display"]
    walk.at(segment, 6)
    walk.gather(owner, "note", found, parts, "VAR")


def role(walk: Walk, segment: Segment) -> None:
    """Who says that there is a problem; anybody else takes part in the visit."""
    problem = walk.current.get("Condition")
    if problem is None or segment.text(3).strip().upper() not in _ASSERTING or not segment[4]:
        rol(walk, segment)
        return
    walk.read(segment, 1, 2, 3)
    walk.at(segment, 4)
    found = practitioner(segment.first(4), walk)
    if found:
        walk.state(problem, "asserter", *found, slot="ROL-4")


def evidence(walk: Walk, segment: Segment) -> None:
    """An observation: evidence of the problem, where it stands under no order."""
    made = obx(walk, segment)
    problem = walk.current.get("Condition")
    if made is not None and problem is not None and walk.current.get("ServiceRequest") is None:
        walk.at(segment, 3)
        walk.gather(problem, "evidence", {"detail": [made.reference]}, {"detail[0]": 3}, "OBX#evidence")


PROBLEMS: Final = Family("problems", {"OBR": order_obr})
