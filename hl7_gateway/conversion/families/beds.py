"""NPU: whether a bed can be used. docs/hl7.md"""

from __future__ import annotations

from hl7_gateway.conversion.datatypes.codes import coding
from hl7_gateway.conversion.datatypes.references import location
from hl7_gateway.conversion.draft import DRAFT
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment


def npu(walk: Walk, segment: Segment) -> None:
    """The status of the bed of NPU-1: here it is what the message is about, not a mention."""
    walk.at(segment, 1)
    found = location(segment.first(1), walk)
    if found is None:
        return
    name = found[0]["reference"].removeprefix(DRAFT)
    bed = next(draft for draft in walk.conversion.drafts if draft.name == name)
    bed.stub = False
    walk.at(segment, 2)
    status = coding("BedStatus", "0116")(segment.first(2), walk) if segment[2] else None
    if status:
        walk.state(bed, "operationalStatus", *status)
