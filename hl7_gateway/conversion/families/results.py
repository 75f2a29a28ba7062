"""ORU, OUL, ORM, OML, OMG: results and orders. docs/hl7.md, "Results" """

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.ordering import told_before
from hl7_gateway.conversion.families.orders import (
    orc_after_obr,
    report,
    request,
    specimen_of_obr,
)
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment


def result_obr(walk: Walk, segment: Segment) -> None:
    """A report of results, and the order that it answers."""
    _begin(walk)
    request(walk, segment, mentioned=True)
    told_before(walk)
    made = report(walk, segment)
    specimen_of_obr(walk, segment)
    if made is not None:
        walk.current["noted"] = made


def _specimen_first_obr(walk: Walk, segment: Segment) -> None:
    """The same where specimens come before the results of them."""
    specimen = walk.current.get("Specimen")
    result_obr(walk, segment)
    if specimen is not None:
        walk.current["Specimen"] = specimen
        made = walk.current.get("DiagnosticReport")
        if made is not None:
            walk.state(made, "specimen", specimen.reference, slot="OBR#specimen")


def order_obr(walk: Walk, segment: Segment) -> None:
    """An order."""
    _ordered(walk, segment, mentioned=False)


def mentioned_obr(walk: Walk, segment: Segment) -> None:
    """An order that something else is about: it is made where it is not there, and never changed."""
    _ordered(walk, segment, mentioned=True)


def _ordered(walk: Walk, segment: Segment, *, mentioned: bool) -> None:
    _begin(walk)
    made = request(walk, segment, mentioned=mentioned)
    told_before(walk)
    specimen_of_obr(walk, segment)
    if made is not None:
        walk.current["noted"] = made


def _begin(walk: Walk) -> None:
    for name in ("Specimen", "Observation", "DiagnosticReport", "ServiceRequest"):
        walk.current.pop(name, None)
    walk.observations.clear()


RESULTS: Final = Family("results", {"OBR": result_obr})
SPECIMENS: Final = Family("results by specimen", {"ORC": orc_after_obr, "OBR": _specimen_first_obr})
ORDERS: Final = Family("orders", {"OBR": order_obr})
