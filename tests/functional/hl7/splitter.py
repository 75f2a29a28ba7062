"""HL7 v2 by splitting alone: what a message says, found without the gateway. https://www.hl7.eu/HL7v2x/v28/hl7v28.htm

It shares no code with `hl7_gateway`, knows neither its tables nor the guide, and expects the usual delimiters. Each
component is a fact, and so is what must stand together: a number and who assigned it, a code and its system, the parts
of a name, a measurement and what was measured.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

Alternatives = frozenset[str]

_ESCAPES = {"\\T\\": "&", "\\S\\": "^", "\\F\\": "|", "\\R\\": "~", "\\.br\\": "\n", "\\E\\": "\\"}
_STAMP = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d+)?([+-]\d{4})?")

ABOUT_THE_MESSAGE = frozenset({"MSH", "SFT", "EVN", "MSA", "BHS", "FHS", "BTS", "FTS"})

SYSTEMS = {
    "LN": "http://loinc.org", "SCT": "http://snomed.info/sct", "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I10": "http://hl7.org/fhir/sid/icd-10", "NDC": "http://hl7.org/fhir/sid/ndc", "CVX": "http://hl7.org/fhir/sid/cvx",
    "C4": "http://www.ama-assn.org/go/cpt", "UCUM": "http://unitsofmeasure.org",
    "CDCREC": "urn:oid:2.16.840.1.113883.6.238", "DCM": "http://dicom.nema.org/resources/ontology/DCM",
}  # fmt: skip

_SEX = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
_YES_NO = {"Y": "True", "N": "False"}
_BOOKED = {"Booked": "booked", "Cancelled": "cancelled", "Dc": "cancelled", "Deleted": "entered-in-error",
           "Noshow": "noshow"}  # fmt: skip
_NAME = {"L": "official", "D": "usual", "M": "maiden", "B": "maiden", "MSK": "anonymous", "NAV": "temp"}
_ADDRESS = {"M": "postal", "H": "home", "BI": "billing", "B": "work", "O": "work", "L": "home", "P": "home"}
_TELECOM = {"CP": "mobile", "PH": "phone", "FX": "fax", "BP": "pager", "Internet": "email", "WPN": "work",
            "PRN": "home", "ORN": "home", "NET": "email", "TDD": "other", "MD": "other"}  # fmt: skip
_ORDER = {"CM": "completed", "SC": "active", "IP": "active", "HD": "on-hold", "NW": "active", "RE": "completed"}
_PRIORITY = {"R": "routine", "A": "asap", "S": "stat"}
_ALLERGY = {"DA": "medication", "FA": "food", "EA": "environment"}
_RESULT = {"F": "final", "P": "preliminary", "S": "preliminary", "C": "corrected", "I": "registered", "O": "registered"}

MEANINGS = {
    "PID-8.1": _SEX, "NK1-15.1": _SEX, "GT1-9.1": _SEX, "IN1-43.1": _SEX, "PID-30.1": _YES_NO, "PID-24.1": _YES_NO,
    "PV1-2.1": {"I": "IMP", "O": "AMB", "E": "EMER", "P": "PRENC"}, "OBX-11.1": _RESULT,
    "OBR-25.1": {"F": "final", "P": "preliminary", "S": "partial"}, "OBR-5.1": _PRIORITY, "TQ1-9.1": _PRIORITY,
    "AL1-2.1": _ALLERGY, "IAM-2.1": _ALLERGY, "AL1-4.1": {"MI": "mild", "SV": "severe"}, "DG1-6.1": {"A": "AD"},
    "PV2-25.1": {"2": "UR", "1": "EM", "3": "EL"}, "PV2-25.4": {"2": "UR", "1": "EM", "3": "EL"},
    "SPM-20.1": {"Y": "available", "N": "unavailable"}, "SCH-25.1": _BOOKED, "AIS-10.1": _BOOKED, "AIG-14.1": _BOOKED,
    "AIL-12.1": _BOOKED, "AIP-12.1": _BOOKED, "TXA-17.1": {"AU": "final", "LA": "final", "DI": "preliminary"},
    "RXA-20.1": {"CP": "completed", "RE": "not-done"}, "ORC-5.1": _ORDER, "ORC-1.1": _ORDER,
    "IAM-6.1": {"A": "active"}, "PRB-13.1": {"ACTIVE": "active"},
    **{f"{field}.7": _NAME for field in ("PID-5", "NK1-2", "GT1-3", "NK1-30", "IN1-16")},
    **{f"{field}.10": _NAME for field in ("PV1-7", "PV1-8", "PV1-9", "OBX-16", "ROL-4", "RXA-10", "ORC-10", "ORC-12")},
    **{f"{field}.7": _ADDRESS for field in ("PID-11", "NK1-4", "GT1-5")},
    **{f"{field}.{part}": _TELECOM for field in ("PID-13", "PID-14", "PID-40", "NK1-5", "NK1-6", "NK1-31", "NK1-40",
       "NK1-41", "GT1-6", "GT1-7", "GT1-18", "OBR-17", "ORC-14") for part in (2, 3)},
}  # fmt: skip
"""What a code of HL7 v2 is called in FHIR, by component."""

_NUMBERED = frozenset(
    {"PID", "NK1", "PV1", "AL1", "IAM", "DG1", "PR1", "GT1", "IN1", "OBR", "OBX", "NTE", "SPM", "TQ1", "TXA", "FT1",
     "AIS", "AIG", "AIL", "AIP", "ROL", "PRT", "ARV", "DB1", "CON", "RGS"}
)  # fmt: skip
_IDENTIFIERS = frozenset({"PID-3", "PID-4", "PV1-19", "PV1-50", "NK1-33", "GT1-2"})
_ENTITIES = frozenset({"ORC-2", "ORC-3", "OBR-2", "OBR-3", "DG1-20", "SCH-1", "SCH-2"})
_PERSONS = frozenset({"PV1-7", "PV1-8", "PV1-9", "PV1-17", "ORC-12", "OBR-16", "OBX-16", "DG1-16", "RXA-10"})
_NAMES = frozenset({"PID-5", "NK1-2", "GT1-3"})


@dataclass(frozen=True)
class Fact:
    """``all_of`` must be found together: in one object, or in one resource where it is about the ``whole``."""

    segment: str
    place: str
    all_of: tuple[Alternatives, ...]
    whole: bool = False


def split(message: str) -> Iterator[tuple[str, list[str]]]:
    """The segments of a message: their names, and their fields from the first on."""
    for line in re.split(r"[\r\n]+", message.lstrip("\ufeff")):
        name, *fields = line.split("|")
        if name.strip():
            yield name, fields


def parts(repetition: str) -> list[str]:
    """The components of a repetition with their subcomponents as a text each, the first subcomponent alone at first."""
    return [component.split("&")[0] for component in repetition.split("^")]


def facts(message: str, zone: str) -> Iterator[Fact]:
    """All that a message says, but for what is about the message itself."""
    for name, fields in split(message):
        if name in ABOUT_THE_MESSAGE:
            continue
        for number, field in enumerate(fields, 1):
            if number == 1 and name in _NUMBERED and field.isdigit():
                continue
            for repetition in field.split("~"):
                yield from _of_a_repetition(name, f"{name}-{number}", repetition, zone)
        if name == "OBX" and len(fields) > 4:
            yield from _measured(fields, zone)


def _of_a_repetition(name: str, place: str, repetition: str, zone: str) -> Iterator[Fact]:
    for number, component in enumerate(repetition.split("^"), 1):
        for text in component.split("&"):
            if text.strip() and text != '""':
                yield Fact(name, f"{place}.{number}", (said(text, f"{place}.{number}", zone),))
    got = [one.strip() for one in parts(repetition)] + [""] * 10
    if place in _IDENTIFIERS and got[0] and got[3]:
        yield Fact(name, f"{place} of whom", (said(got[0], place, zone), _authority(repetition.split("^")[3])))
    if place in _ENTITIES and got[0] and got[1]:
        yield Fact(name, f"{place} of whom", (said(got[0], place, zone), _authority("&".join(got[1:4]))))
    if place in _NAMES and got[0] and got[1]:
        yield Fact(name, f"{place} name", tuple(said(one, place, zone) for one in got[:2]))
    if place in _PERSONS and got[0] and got[1]:
        yield Fact(name, f"{place} person", (said(got[0], place, zone), said(got[1], place, zone)), whole=True)
    for start in (0, 3):
        if got[start] and got[start + 2] in SYSTEMS:
            yield Fact(name, f"{place} code", (said(got[start], place, zone), frozenset({SYSTEMS[got[start + 2]]})))


def _measured(fields: list[str], zone: str) -> Iterator[Fact]:
    code, value = parts(fields[2])[0], parts(fields[4].split("~")[0])[0]
    if code and value.strip() and fields[1] in ("NM", "ST", "TX", "CE", "CWE", "DT", "TS", "SN"):
        yield Fact("OBX", "OBX-5 of OBX-3", (said(code, "OBX-3", zone), said(value, "OBX-5", zone)), whole=True)
    if fields[1] == "NM" and len(fields) > 5 and value.strip() and fields[5] and "~" not in fields[4]:
        unit = parts(fields[5])
        yield Fact("OBX", "OBX-6 of OBX-5", (said(value, "OBX-5", zone), frozenset(one for one in unit[:2] if one)))


def _authority(text: str) -> Alternatives:
    """What an authority is called: by what it is world-wide, else by its name."""
    namespace, universal, *_ = [*text.split("&"), "", ""]
    return frozenset({universal or namespace})


def said(text: str, place: str, zone: str) -> Alternatives:
    """A text as FHIR may write it: as it is, unescaped, as a time, a number or a translated code."""
    for escape, meant in _ESCAPES.items():
        text = text.replace(escape, meant)
    text = text.strip()
    found = {text, MEANINGS.get(place, {}).get(text, text), SYSTEMS.get(text, text), *moments(text, zone)}
    with contextlib.suppress(InvalidOperation):
        found.add(str(Decimal(text)))
    return frozenset(found)


def moments(text: str, zone: str) -> list[str]:
    """What is shaped like a time, as FHIR writes it: with its precision, and as a day."""
    match = _STAMP.fullmatch(text)
    if match is None or not "1800" <= match[1] <= "2199" or len(text) < 6:
        return []
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if not 1 <= int(month) <= 12 or not 1 <= int(day or 1) <= 31:
        return []
    date = "-".join(part for part in (year, month, day) if part)
    if hour is None:
        return [date]
    if offset is None:
        try:
            moment = datetime(int(year), int(month), int(day), int(hour), int(minute or 0), tzinfo=ZoneInfo(zone))
        except ValueError:
            return []
        offset = moment.strftime("%z")
    time = f"{hour}:{minute or '00'}:{second or '00'}{fraction or ''}"
    return [f"{date}T{time}{offset[:3]}:{offset[3:]}", date]
