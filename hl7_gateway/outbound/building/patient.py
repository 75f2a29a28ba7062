"""Patient as PID, PD1, NK1 and MRG. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hl7_gateway.conversion.datatypes.identifiers import SHARED
from hl7_gateway.outbound.building.codes import translated
from hl7_gateway.outbound.building.sources import Resource, Sources, found
from hl7_gateway.outbound.building.text import Fields, components, repetitions, text
from hl7_gateway.outbound.building.writer import Writer
from hl7_gateway.wire.versions import before

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_US_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_UNNAMED: Final = components(*[""] * 6, "U")
"""A name that is not known: PID-5 must be there."""


def identifiers(patient: Resource, writer: Writer) -> str:
    """The numbers of a patient, without those that are not in use any more.

    Their id is among them where no other number tells them apart.
    """
    known = [one for one in patient.get("identifier", ()) if one.get("value") and one.get("use") != "old"]
    numbers = [writer.cx(one, "PI") for one in known]
    if all(writer.kind_of(one) in SHARED for one in known):
        numbers.append(writer.cx(writer.own(patient), "PI"))
    return repetitions(numbers)


def pid(patient: Resource, writer: Writer) -> Fields:
    """The fields of PID."""
    contacts = [one for one in patient.get("telecom", ()) if isinstance(one, dict)]
    work = [one for one in contacts if one.get("use") == "work"]
    languages = sorted(patient.get("communication", ()), key=lambda one: one.get("preferred") is not True)
    names = sorted(patient.get("name", ()), key=lambda one: one.get("use") != "official")
    return {
        1: "1",
        3: identifiers(patient, writer),
        5: repetitions(writer.xpn(one) for one in names) or _UNNAMED,
        6: _mother(patient),
        7: writer.moment(_extension(patient.get("_birthDate", {}), _CORE + "patient-birthTime", "valueDateTime") or "")
        or writer.day(patient.get("birthDate", "")),
        8: translated("AdministrativeSex").get(patient.get("gender", ""), ""),
        10: _people(patient, "race", writer),
        11: repetitions(writer.xad(one) for one in patient.get("address", ()) if one.get("use") != "old"),
        13: repetitions(writer.xtn(one) for one in contacts if one.get("use") != "work"),
        14: repetitions(writer.xtn(one) for one in work),
        15: writer.concept(next((one.get("language") for one in languages), None), "PID-15", "0296"),
        16: writer.concept(patient.get("maritalStatus"), "PID-16", "0002", "MaritalStatus"),
        17: writer.concept(_extension(patient, _CORE + "patient-religion", "valueCodeableConcept"), "PID-17", "0006",
                           "Religion"),
        22: _people(patient, "ethnicity", writer),
        24: _yes_no(patient.get("multipleBirthBoolean")),
        25: str(patient.get("multipleBirthInteger", "")),
        29: writer.moment(patient.get("deceasedDateTime", "")),
        30: _yes_no("deceasedDateTime" in patient or patient.get("deceasedBoolean")),
    }  # fmt: skip


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "Y" if value else "N"


def _extension(owner: Resource, url: str, element: str) -> Any:
    return next((one.get(element) for one in owner.get("extension", ()) if one.get("url") == url), None)


def _mother(patient: Resource) -> str:
    name = _extension(patient, _CORE + "patient-mothersMaidenName", "valueString")
    return components(text(name), *[""] * 5, "M") if name else ""


def _people(patient: Resource, which: str, writer: Writer) -> str:
    """Race or ethnicity, by the extensions of US Core."""
    told: Resource = next((one for one in patient.get("extension", ()) if one.get("url") == _US_CORE + which), {})
    inner = told.get("extension", ())
    field = f"PID-{10 if which == 'race' else 22}"
    coded = repetitions(writer.concept(one["valueCoding"], field) for one in inner if "valueCoding" in one)
    said = next((one["valueString"] for one in inner if "valueString" in one), "")
    return coded or writer.concept({"text": said} if said else None, field)


def pd1(patient: Resource, sources: Sources, writer: Writer) -> Fields:
    """The fields of PD1: who cares for a patient in general, where the version has a place for them."""
    if not before(writer.version, "2.7"):
        return {}
    carers = (
        (one, found(sources, one, patient))
        for one in patient.get("generalPractitioner", ())
        if not str(one.get("reference", "")).startswith("Organization/")
    )
    return {4: repetitions(writer.xcn(carer) for _, carer in carers if carer is not None)}


def nk1(patient: Resource, writer: Writer) -> Iterable[Fields]:
    """The fields of an NK1 for each contact."""
    for number, contact in enumerate(patient.get("contact", ()), 1):
        telecom = contact.get("telecom", ())
        yield {
            1: str(number),
            2: writer.xpn(contact.get("name", {})),
            3: writer.concept(next(iter(contact.get("relationship", ())), None), "NK1-3", "0063", "Relationship"),
            4: writer.xad(contact.get("address", {})),
            5: repetitions(writer.xtn(one) for one in telecom if one.get("use") != "work"),
            6: repetitions(writer.xtn(one) for one in telecom if one.get("use") == "work"),
            15: translated("AdministrativeSex").get(contact.get("gender", ""), ""),
        }


def mrg(retired: Resource, surviving: Resource, writer: Writer) -> Fields:
    """The fields of MRG: the numbers by which the patient who goes was known, and the survivor is not."""
    kept = identifiers(surviving, writer).split("~")
    gone = repetitions(one for one in identifiers(retired, writer).split("~") if one not in kept)
    name: Resource = next(iter(retired.get("name", ())), {})
    return {1: gone or writer.cx(writer.own(retired), "PI"), 7: writer.xpn(name)}
