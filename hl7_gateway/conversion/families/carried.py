"""What a segment means in any message, whatever its type says that it is about. docs/hl7.md, "Conversion"

Senders put what they have to tell where there is room for it: an admission with an order, an appointment in an ADT. A
family names only the segments that it reads otherwise than this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hl7_gateway.conversion.families.accidents import accident
from hl7_gateway.conversion.families.administration import administration
from hl7_gateway.conversion.families.beds import npu
from hl7_gateway.conversion.families.clinical import al1, dg1, iam, pr1
from hl7_gateway.conversion.families.containers import sac
from hl7_gateway.conversion.families.documents import document_obx, finish_document, txa
from hl7_gateway.conversion.families.family import Handler
from hl7_gateway.conversion.families.finance import ft1
from hl7_gateway.conversion.families.insurance import in1, in2
from hl7_gateway.conversion.families.merging import mrg
from hl7_gateway.conversion.families.observations import nte, obx
from hl7_gateway.conversion.families.ordering import tq1
from hl7_gateway.conversion.families.orders import finish_reports, orc, spm
from hl7_gateway.conversion.families.participants import prt
from hl7_gateway.conversion.families.patient import gt1, nk1, pd1, pid
from hl7_gateway.conversion.families.pharmacy import rxd, rxe, rxo, told_before
from hl7_gateway.conversion.families.problems import evidence, gol, prb, pth, role, var
from hl7_gateway.conversion.families.provenances import told_of_the_event, told_of_the_update
from hl7_gateway.conversion.families.referral import BEFORE_THE_PATIENT, told_of_the_patient
from hl7_gateway.conversion.families.results import mentioned_obr, order_obr, result_obr
from hl7_gateway.conversion.families.scheduling import aig, ail, aip, ais, finish_scheduling, rgs, sch, takes_part
from hl7_gateway.conversion.families.vaccination import is_vaccine, rxa, rxr, vaccination_obx
from hl7_gateway.conversion.families.visit import pv1, pv2
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

_NEXT: Final = frozenset({"ORC", "OBR", "PID", "PV1", "TXA", "SCH", "RXA", "RXO", "RXE", "RXD", "FT1"})
"""Segments at which what belongs to an OBR is over."""


_OF_A_DOCUMENT: Final = frozenset({"TXA", "OBX", "NTE", "PRT", "CON"})
"""Segments after which a document may go on."""


def _pid(walk: Walk, segment: Segment) -> None:
    """A patient: of the appointment, or of the referral, that stands before them."""
    appointment = walk.current.get("Appointment")
    if "DocumentReference" in walk.current:
        finish_document(walk)
    pid(walk, segment)
    if segment[34]:
        told_of_the_update(walk, segment)
    if appointment is not None:
        takes_part(walk, appointment)
    if not BEFORE_THE_PATIENT.keys().isdisjoint(walk.segments):
        told_of_the_patient(walk, segment)


def _obr(walk: Walk, segment: Segment) -> None:
    """A report where there are results, else an order; one that is told without its control is only mentioned."""
    finish_document(walk)
    if segment[22] or segment[25] or _answered(walk):
        result_obr(walk, segment)
    elif "ORC" in walk.segments or not (segment[2] or segment[3]):
        order_obr(walk, segment)
    else:
        mentioned_obr(walk, segment)


def _answered(walk: Walk) -> bool:
    segments = walk.message.segments
    for place in range(walk.index + 1, len(segments)):
        name = segments[place].name
        if name == "OBX":
            return True
        if name in _NEXT:
            return False
    return False


def _obx(walk: Walk, segment: Segment) -> None:
    """A result, or a part of the vaccination, document or problem that it stands under."""
    current = walk.current
    if "Immunization" in current:
        vaccination_obx(walk, segment)
    elif "DocumentReference" in current and walk.message.segments[walk.index - 1].name in _OF_A_DOCUMENT:
        document_obx(walk, segment)
    elif "Condition" in current:
        evidence(walk, segment)
    else:
        obx(walk, segment)


def _rxa(walk: Walk, segment: Segment) -> None:
    """A vaccination, or another medication that was given."""
    if is_vaccine(segment):
        rxa(walk, segment)
    else:
        administration(walk, segment)


CARRIED: Final[Mapping[str, Handler]] = {
    "PID": _pid,
    "PD1": pd1,
    "NK1": nk1,
    "GT1": gt1,
    "MRG": mrg,
    "PV1": pv1,
    "PV2": pv2,
    "NPU": npu,
    "AL1": al1,
    "IAM": iam,
    "DG1": dg1,
    "PR1": pr1,
    "IN1": in1,
    "IN2": in2,
    "ACC": accident,
    "FT1": ft1,
    "ROL": role,
    "PRT": prt,
    "ORC": orc,
    "OBR": _obr,
    "TQ1": tq1,
    "SPM": spm,
    "SAC": sac,
    "OBX": _obx,
    "NTE": nte,
    "TXA": txa,
    "SCH": sch,
    "RGS": rgs,
    "AIS": ais,
    "AIP": aip,
    "AIL": ail,
    "AIG": aig,
    "RXA": _rxa,
    "RXR": rxr,
    "RXO": rxo,
    "RXE": rxe,
    "RXD": rxd,
    "RXC": told_before,
    "PRB": prb,
    "GOL": gol,
    "PTH": pth,
    "VAR": var,
    **BEFORE_THE_PATIENT,
}
"""Name of a segment -> its handler."""

FINISHERS: Final[Mapping[str, Callable[[Walk], None]]] = {
    "Patient": told_of_the_event,
    "DiagnosticReport": finish_reports,
    "DocumentReference": finish_document,
    "Appointment": finish_scheduling,
}
"""What is left to say at the end, where there is a resource of the type."""
