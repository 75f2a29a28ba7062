"""Codes of FHIR as those of HL7 v2, and what coding systems are called there.

https://hl7.org/fhir/uv/v2mappings/coding_system_maps.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from hl7_gateway.conversion.vocabulary import CODE_SYSTEMS, TERMINOLOGY, vocabulary

_PREFERRED: Final[Mapping[str, Mapping[str, str]]] = {
    "AdministrativeSex": {"other": "O", "unknown": "U"},
    "NameType": {"official": "L", "usual": "D", "maiden": "M", "nickname": "N", "temp": "TEMP"},
    "AddressType[Use]": {"home": "H", "work": "B", "temp": "C"},
    "AddressType[Type]": {"postal": "M"},
    "TelecommunicationUseCode": {"home": "PRN", "work": "WPN"},
    "ObservationResultStatusCodesInterpretation": {
        "registered": "I", "preliminary": "P", "final": "F", "amended": "C", "corrected": "C",
        "cancelled": "X", "entered-in-error": "W", "unknown": "F",
    },
    "ResultStatus[Non-Queries]": {
        "registered": "O", "partial": "R", "preliminary": "P", "final": "F", "amended": "C", "corrected": "C",
        "appended": "C", "cancelled": "X", "entered-in-error": "X", "unknown": "Z",
    },
    "FillerStatusCodes[Appointment]": {
        "proposed": "Pending", "booked": "Booked", "cancelled": "Cancelled", "arrived": "Started",
        "checked-in": "Started",
    },
    "PatientClass[EncounterClass]": {
        "ACUTE": "I", "NONAC": "I", "OBSENC": "I", "SS": "O", "VR": "O", "HH": "O", "FLD": "O",
    },
    "MaritalStatus": {"L": "A", "T": "P", "UNK": "U"},
}  # fmt: skip
"""Where several codes of HL7 v2 mean the same, or none exactly the one of FHIR, which is sent."""

_NAMES: Final = ("LN", "SCT", "UCUM", "I9", "I10", "I10C", "I10P", "C4", "HPC", "RXNORM", "NDC", "CVX", "CDCREC")
"""Of a coding system with several names in table 0396, the one that is sent."""


@cache
def translated(map_name: str) -> Mapping[str, str]:
    """A vocabulary map the other way round: code of FHIR -> code of HL7 v2."""
    found: dict[str, str] = {}
    for code, target in sorted(vocabulary(map_name).items(), key=lambda item: (item[0] != item[1].code, item[0])):
        found.setdefault(target.code, code)
    return {**found, **_PREFERRED.get(map_name, {})}


@cache
def _system_names() -> Mapping[str, str]:
    names = {uri: name for name, uri in CODE_SYSTEMS.items()}
    return {**names, **{CODE_SYSTEMS[name]: name for name in _NAMES}}


_TABLE: Final = re.compile(re.escape(TERMINOLOGY) + r"v2-([0-9]{4})")


def system_name(uri: str, own: Mapping[str, str]) -> str:
    """What a coding system is called in HL7 v2: as the destination calls it, by table 0396, else its URI."""
    if uri in own:
        return own[uri]
    known = _system_names().get(uri)
    if known:
        return known
    table = _TABLE.fullmatch(uri)
    if table:
        return f"HL7{table[1]}"
    return uri.removeprefix("urn:oid:")
