"""SCH: an appointment. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei, logical
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.table import Convert, SegmentMap, many, one, within


def _contact(meaning: str) -> Convert:
    return within("actor", practitioner, status="accepted", type=[{"text": meaning}])


SCH_APPOINTMENT: Final = SegmentMap(
    "SCH",
    "Appointment",
    [
        one(1, "identifier", ei("PLAC")),
        one(2, "identifier", ei("FILL")),
        one(7, "reasonCode", concept("AppointmentReasonCodes", "0276")),
        one(8, "appointmentType", concept("AppointmentTypeCodes", "0277")),
        many(12, "participant", _contact("placer contact")),
        many(16, "participant", _contact("filler contact")),
        many(20, "participant", _contact("enterer")),
        many(26, "basedOn", logical(ei("PLAC"), "ServiceRequest")),
        many(27, "basedOn", logical(ei("FILL"), "ServiceRequest")),
    ],
    ignored=(6, 9, 10, 11, 25),
)
