"""What segments and fields are called. https://www.hl7.eu/HL7v2x/v281/std281/ch02.html"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from hl7apy import load_reference
from hl7apy.exceptions import ChildNotFound

SEGMENTS: Final[Mapping[str, str]] = {
    "ADD": "addendum",
    "AIG": "appointment: resource",
    "AIL": "appointment: location",
    "AIP": "appointment: person",
    "AIS": "appointment: service",
    "AL1": "allergy",
    "BHS": "batch header",
    "BTS": "batch trailer",
    "DG1": "diagnosis",
    "DRG": "diagnosis related group",
    "EVN": "event",
    "FT1": "financial transaction",
    "GT1": "guarantor",
    "IAM": "allergy, adverse reaction",
    "IN1": "insurance",
    "IN2": "insurance, more",
    "IN3": "insurance, certification",
    "MRG": "who is merged",
    "MSH": "header",
    "NK1": "next of kin",
    "NTE": "note",
    "OBR": "observation request",
    "OBX": "result",
    "ORC": "order",
    "PD1": "patient, more",
    "PID": "patient",
    "PR1": "procedure",
    "PRB": "problem",
    "PV1": "visit",
    "PV2": "visit, more",
    "RF1": "referral",
    "ROL": "role",
    "RXA": "administration",
    "RXD": "dispense",
    "RXE": "encoded order",
    "RXR": "route",
    "SCH": "appointment",
    "SPM": "specimen",
    "TXA": "document",
}
"""What people call a segment."""

_ABBREVIATIONS: Final = frozenset({"id", "ssn", "iv", "vip", "url", "tq1", *map(str.lower, SEGMENTS)}) - {"add"}


@lru_cache(maxsize=512)
def field_names(version: str, segment: str) -> Mapping[int, str]:
    """The names of a segment's fields by their numbers; none of a segment that the version does not have."""
    try:
        _, fields = load_reference(segment, "Segment", version)[:2]
    except (ChildNotFound, KeyError):
        return {}
    return {int(name.rpartition("_")[2]): _words(reference[3]) for name, reference, *_ in fields if reference}


def _words(name: str | None) -> str:
    """PATIENT_IDENTIFIER_LIST as "Patient identifier list"."""
    words = [word.upper() if word in _ABBREVIATIONS else word for word in (name or "").lower().split("_") if word]
    text = " ".join(words).replace(" s ", "'s ").replace("Date time", "Date/time").replace("date time", "date/time")
    return text[:1].upper() + text[1:]
