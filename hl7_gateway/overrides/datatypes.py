"""Data types that a feed's own rows may name, and the element of an extension that each fills. docs/hl7-overrides.md"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hl7_gateway.conversion.datatypes.codes import coding, concept
from hl7_gateway.conversion.datatypes.identifiers import cx, ei
from hl7_gateway.conversion.datatypes.names import xad, xpn, xtn
from hl7_gateway.conversion.datatypes.quantities import cq
from hl7_gateway.conversion.datatypes.references import location, organization, practitioner
from hl7_gateway.conversion.datatypes.simple import date, date_range, date_time, decimal, integer, text, time, yes_no
from hl7_gateway.conversion.table import Convert

DATATYPES: Final[Mapping[str, tuple[Convert, str]]] = {
    "ST": (text, "valueString"),
    "NM": (decimal, "valueDecimal"),
    "SI": (integer(0), "valueInteger"),
    "ID": (yes_no, "valueBoolean"),
    "DT": (date, "valueDate"),
    "DTM": (date_time, "valueDateTime"),
    "TM": (time, "valueTime"),
    "DR": (date_range, "valuePeriod"),
    "CWE": (concept(), "valueCodeableConcept"),
    "CODING": (coding(), "valueCoding"),
    "CX": (cx(), "valueIdentifier"),
    "EI": (ei(), "valueIdentifier"),
    "CQ": (cq, "valueQuantity"),
    "XPN": (xpn, "valueHumanName"),
    "XAD": (xad, "valueAddress"),
    "XTN": (xtn(), "valueContactPoint"),
    "XCN": (practitioner, "valueReference"),
    "XON": (organization, "valueReference"),
    "PL": (location, "valueReference"),
}
"""Name -> how it is converted, and what it is called as the value of an extension. ID is Y or N."""
