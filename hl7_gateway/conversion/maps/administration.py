"""RXA of what is no vaccine: a medication that was given. https://hl7.org/fhir/R4/medicationadministration.html

The guide maps RXA for vaccinations alone; these rows follow chapter 4A of HL7 v2.8
(https://www.hl7.eu/HL7v2x/v28/std28/ch04a.html).
"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.maps.pharmacy import coded_note, product
from hl7_gateway.conversion.table import SegmentMap, many, one, within

RXA_MEDICATION_ADMINISTRATION: Final = SegmentMap(
    "RXA",
    "MedicationAdministration",
    [
        one(5, "medicationCodeableConcept", concept()),
        many(9, "note", coded_note),
        many(10, "performer", within("actor", practitioner)),
        many(18, "statusReason", concept()),
        many(19, "reasonCode", concept()),
    ],
    ignored=(1, 2, 3, 20, 21),
)

RXA_MEDICATION: Final = SegmentMap("RXA", "Medication", product(5, 8, 13, 23, lot=15))
