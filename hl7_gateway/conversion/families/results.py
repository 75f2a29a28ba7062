"""ORU, OUL, ORM, OML, OMG: results and orders. docs/hl7.md, "Results" """

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.families.adt import SHARED
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.orders import (
    finish_reports,
    orc,
    orc_after_obr,
    report,
    request,
    specimen_of_obr,
    spm,
    tq1,
)
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment


def _result_obr(walk: Walk, segment: Segment) -> None:
    """A report of results, and the order that it answers."""
    _begin(walk)
    request(walk, segment, mentioned=True)
    made = report(walk, segment)
    specimen_of_obr(walk, segment)
    if made is not None:
        walk.current["noted"] = made


def _specimen_first_obr(walk: Walk, segment: Segment) -> None:
    """The same where specimens come before the results of them."""
    specimen = walk.current.get("Specimen")
    _result_obr(walk, segment)
    if specimen is not None:
        walk.current["Specimen"] = specimen
        made = walk.current.get("DiagnosticReport")
        if made is not None:
            walk.state(made, "specimen", specimen.reference, slot="OBR#specimen")


def _order_obr(walk: Walk, segment: Segment) -> None:
    """An order."""
    _begin(walk)
    made = request(walk, segment, mentioned=False)
    specimen_of_obr(walk, segment)
    if made is not None:
        walk.current["noted"] = made


def _begin(walk: Walk) -> None:
    for name in ("Specimen", "Observation", "DiagnosticReport", "ServiceRequest"):
        walk.current.pop(name, None)
    walk.observations.clear()


RESULTS: Final = Family(
    "results",
    {**SHARED, "ORC": orc, "OBR": _result_obr, "SPM": spm, "TQ1": tq1},
    finish_reports,
)
SPECIMENS: Final = Family(
    "results by specimen",
    {**SHARED, "ORC": orc_after_obr, "OBR": _specimen_first_obr, "SPM": spm, "TQ1": tq1},
    finish_reports,
)
ORDERS: Final = Family("orders", {**SHARED, "ORC": orc, "OBR": _order_obr, "SPM": spm, "TQ1": tq1})
