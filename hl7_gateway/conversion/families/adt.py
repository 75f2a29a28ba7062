"""ADT: admissions, discharges, transfers, and who a patient is. docs/hl7.md, "What events mean" """

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.families.beds import npu
from hl7_gateway.conversion.families.clinical import al1, dg1, iam, pr1
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.insurance import in1, in2
from hl7_gateway.conversion.families.merging import finish_links, mrg
from hl7_gateway.conversion.families.observations import nte, obx
from hl7_gateway.conversion.families.participants import prt, rol
from hl7_gateway.conversion.families.patient import gt1, nk1, pd1, pid
from hl7_gateway.conversion.families.visit import pv1, pv2

SHARED: Final = {
    "PID": pid,
    "PD1": pd1,
    "NK1": nk1,
    "GT1": gt1,
    "PV1": pv1,
    "PV2": pv2,
    "AL1": al1,
    "IAM": iam,
    "DG1": dg1,
    "PR1": pr1,
    "IN1": in1,
    "IN2": in2,
    "ROL": rol,
    "PRT": prt,
    "OBX": obx,
    "NTE": nte,
}
"""What means the same in every message."""

ADT: Final = Family("ADT", {**SHARED, "MRG": mrg, "NPU": npu}, finish_links)
