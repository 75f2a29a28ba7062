"""ADT: admissions, discharges, transfers, and who a patient is. docs/hl7.md, "What events mean" """

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.merging import finish_links

ADT: Final = Family("ADT", {}, finish_links)
