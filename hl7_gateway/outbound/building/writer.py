"""Data types of FHIR as those of HL7 v2, as one destination wants them. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from hl7_gateway.conformance.definitions import segment as defined
from hl7_gateway.conversion.datatypes.identifiers import IDENTIFIER_TYPES, SSN
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.feed_mapping import NPI
from hl7_gateway.outbound.building.codes import system_name, translated
from hl7_gateway.outbound.building.text import components, repetitions, subcomponents, text
from hl7_gateway.outbound.rules import Configuration
from hl7_gateway.wire.versions import before

Resource = Mapping[str, Any]

_OID: Final = re.compile(r"urn:oid:([0-2](?:\.(?:0|[1-9][0-9]*))+)")
_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_CODES: Final = frozenset({"IS", "ID", "ST"})
_EQUIPMENT: Final = {"phone": "PH", "fax": "FX", "pager": "BP", "email": "Internet", "url": "Internet", "sms": "CP"}


class Writer:
    """Writes data types as ``configuration`` has it: namespaces, names of coding systems, version and zone."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.version = configuration.version
        self._zone = ZoneInfo(configuration.zone) if configuration.zone else None

    # Identifiers

    def authority(self, system: str) -> tuple[str, str, str]:
        """The parts of an HD: namespace, universal id and its type."""
        namespace = self.configuration.authorities.get(system, "NPI" if system == NPI else "")
        oid = _OID.fullmatch(system)
        if oid:
            return text(namespace), oid[1], "ISO"
        if namespace or not system:
            return text(namespace), "", ""
        if system.startswith("urn:uuid:"):
            return "", text(system.removeprefix("urn:uuid:")), "UUID"
        if system.startswith("urn:hl7:dns:"):
            return "", text(system.removeprefix("urn:hl7:dns:")), "DNS"
        return "", text(system), "URI"

    def cx(self, identifier: Resource, usual: str = "") -> str:
        """An Identifier; ``usual`` is its type where it has none, in versions that want one."""
        if not identifier.get("value"):
            return ""
        system = identifier.get("system", "")
        kind = self.kind_of(identifier) or ("SS" if system == SSN else "")
        kind = kind or ("" if before(self.version, "2.7") else usual)
        lasting = identifier.get("period", {})
        ends = self.day(lasting.get("start", "")), self.day(lasting.get("end", ""))
        authority = subcomponents(*self.authority(system))
        return components(text(identifier["value"]), "", "", authority, text(kind), "", *ends)

    def ei(self, identifier: Resource, join: str = "^") -> str:
        """An Identifier of an order or a specimen."""
        if not identifier.get("value"):
            return ""
        parts = [text(identifier["value"]), *self.authority(identifier.get("system", ""))]
        return join.join(parts).rstrip(join)

    @staticmethod
    def kind_of(identifier: Resource) -> str:
        """The type of an Identifier by table 0203, "" where it has none."""
        for coding in identifier.get("type", {}).get("coding", ()):
            if coding.get("system") in (IDENTIFIER_TYPES, None):
                return str(coding.get("code", ""))
        return ""

    def own(self, resource: Resource) -> dict[str, Any]:
        """The Identifier of what has none: its id, assigned by our facility."""
        return {
            "value": resource["id"],
            "system": f"urn:fhir:{self.configuration.facility or self.configuration.application}",
        }

    # Persons

    @staticmethod
    def xpn(name: Resource) -> str:
        """A HumanName."""
        kind = translated("NameType").get(name.get("use", ""), "")
        return components(*_parts_of_a_name(name), "", kind)

    @staticmethod
    def xad(address: Resource) -> str:
        """An Address."""
        lines = list(address.get("line", ()))
        structured = lines or any(address.get(one) for one in ("city", "state", "postalCode", "country", "district"))
        if not structured:
            lines = [address.get("text", "")]
        kind = translated("AddressType[Use]").get(address.get("use", ""), "")
        kind = kind or translated("AddressType[Type]").get(address.get("type", ""), "")
        lines += [""] * (2 - len(lines))
        parts = [*lines[:2], *(address.get(one, "") for one in ("city", "state", "postalCode", "country"))]
        third = ", ".join(lines[2:])
        found = components(*map(text, parts), kind, text(third), text(address.get("district", "")))
        return found if found.strip("^") != kind else ""

    def xtn(self, point: Resource) -> str:
        """A ContactPoint."""
        value, system, use = text(point.get("value", "")), point.get("system", ""), point.get("use", "")
        if not value or use == "old":
            return ""
        if system in ("email", "url"):
            return components("", "NET", "Internet", value)
        meaning = translated("TelecommunicationUseCode").get(use, "")
        equipment = _EQUIPMENT.get(system, "")
        if use == "mobile" and system == "phone":
            meaning, equipment = "PRN", "CP"
        if before(self.version, "2.7"):
            return components(value, meaning, equipment)
        return components("", meaning, equipment, *[""] * 8, value)

    def xcn(self, practitioner: Resource) -> str:
        """A Practitioner, or whatever has a name and a number; {"display": ...} for who is known by name only."""
        identifier = usual_identifier(practitioner)
        name = next(iter(practitioner.get("name", ())), {"family": practitioner.get("display", "")})
        if identifier is None and "id" in practitioner:
            identifier = self.own(practitioner)
        if identifier is None:
            return components("", *_parts_of_a_name(name))
        use = translated("NameType").get(name.get("use", ""), "")
        parts = [text(identifier["value"]), *_parts_of_a_name(name), "", ""]
        parts += [
            subcomponents(*self.authority(identifier.get("system", ""))),
            use,
            "",
            "",
            text(self.kind_of(identifier)),
        ]
        return components(*parts)

    def ndl(self, practitioner: Resource) -> str:
        """The same as an NDL, the parts of whose first component are subcomponents."""
        parts = self.xcn(practitioner).split("^")
        authority = parts[8].split("&") if len(parts) > 8 else []
        return subcomponents(*(parts + [""] * 7)[:7], "", *authority)

    def xon(self, organization: Resource) -> str:
        """An Organization, or {"display": ...}."""
        name = text(organization.get("name", "") or organization.get("display", ""))
        identifier = usual_identifier(organization)
        if identifier is None:
            return components(name)
        authority = subcomponents(*self.authority(identifier.get("system", "")))
        return components(name, *[""] * 4, authority, text(self.kind_of(identifier)), "", "", text(identifier["value"]))

    # Times

    def moment(self, stamp: str) -> str:
        """A dateTime or instant, with the precision that it has."""
        found = _TIME.fullmatch(stamp)
        if not found:
            return ""
        year, month, day, hour, minute, second, fraction, offset = found.groups()
        if hour is None:
            return year + (month or "") + (day or "")
        fraction = f".{fraction[:4]}" if fraction else ""
        if self._zone is not None and offset and second != "60" and int(year) >= 1900:
            sent = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset}")
            local = sent.astimezone(self._zone)
            # Before there were time zones clocks went by the sun, at offsets that HL7 v2 cannot say.
            if len(f"{local:%z}") == 5:
                return f"{local:%Y%m%d%H%M%S}{fraction}{local:%z}"
        offset = "+0000" if offset == "Z" else (offset or "").replace(":", "")
        return f"{year}{month}{day}{hour}{minute}{second or '00'}{fraction}{offset}"

    @staticmethod
    def day(stamp: str) -> str:
        """The date of a dateTime."""
        found = _TIME.fullmatch(stamp)
        return "".join(part or "" for part in found.groups()[:3]) if found else ""

    @property
    def time_type(self) -> str:
        """What a time is called in OBX-2."""
        return "TS" if before(self.version, "2.6") else "DTM"

    # Codes

    def concept(self, found: Resource | None, place: str, table: str = "", mapping: str = "") -> str:
        """A CodeableConcept or Coding for a field ("PID-16"), as the data type says that it has in the version.

        A code that is of ``table`` already is sent as it is; ``mapping`` names the vocabulary map to go back by.
        """
        if not found:
            return ""
        codings = list(found["coding"]) if "coding" in found else [found] if "code" in found else []
        codings = [one for one in codings if one.get("code")]
        chosen = self._chosen(codings, table, mapping)
        said = text(found.get("text", ""))
        kind = self._kind(place)
        if kind in _CODES:
            return chosen[0][0] if chosen else said if kind != "ID" else ""
        if not chosen:
            return components("", said) if kind == "CE" else components("", said, *[""] * 6, said)
        if len(chosen) == 1:
            chosen.append(("", "", "", ""))
        (*first, version), (*second, other) = chosen[:2]
        label = said if said != first[1] else ""
        if label and not first[1] and kind == "CE":
            first[1], label = label, ""
        more = (version, other, label) if kind != "CE" or label else ()
        return components(*first, *second, *more)

    def _chosen(self, codings: list[Resource], table: str, mapping: str) -> list[tuple[str, str, str, str]]:
        """Code, display, system and version, the one that a receiver looks for first."""
        codings = sorted(codings, key=lambda one: one.get("system") != f"{TERMINOLOGY}v2-{table}") if table else codings
        targets = translated(mapping) if mapping else {}
        if codings and targets and codings[0].get("system") != f"{TERMINOLOGY}v2-{table}":
            code = targets.get(codings[0]["code"])
            if code is not None:
                return [(text(code), text(codings[0].get("display", "")), f"HL7{table}" if table else "", "")]
        return [self._coding(one) for one in codings]

    def _coding(self, coding: Resource) -> tuple[str, str, str, str]:
        system = system_name(coding.get("system", ""), self.configuration.code_systems)
        return text(coding["code"]), text(coding.get("display", "")), text(system), text(coding.get("version", ""))

    def _kind(self, place: str) -> str:
        name, _, number = place.partition("-")
        found = defined(self.version, name) or ()
        return next((part.kind for part in found if part.number == int(number)), "CWE")

    def concepts(self, found: Iterable[Resource], place: str, table: str = "", mapping: str = "") -> str:
        """Several, as repetitions."""
        return repetitions(self.concept(one, place, table, mapping) for one in found)


def usual_identifier(resource: Resource) -> Resource | None:
    """The identifier that a resource is called by: an official or usual one, never an old one."""
    known = [one for one in resource.get("identifier", ()) if one.get("value") and one.get("use") != "old"]
    return min(known, key=lambda one: one.get("use") not in ("official", "usual"), default=None)


def _parts_of_a_name(name: Resource) -> list[str]:
    """Family name, given name, further ones, suffix, prefix."""
    given = list(name.get("given", ()))
    family = name.get("family") or ("" if given else name.get("text", ""))
    parts = [family, given[0] if given else "", " ".join(given[1:])]
    parts += [" ".join(name.get("suffix", ())), " ".join(name.get("prefix", ()))]
    return [text(part) for part in parts]
