"""XPN, XAD, XTN. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from hl7_gateway.conversion.datatypes.simple import clean, number, period
from hl7_gateway.conversion.vocabulary import vocabulary
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Value


def xpn(value: Value, walk: Walk) -> Converted | None:
    """A HumanName."""
    return human_name(value, walk, 0, use=7)


def called(value: Value, walk: Walk) -> Converted | None:
    """What a person is called by (XPN.15), as a HumanName of its own."""
    said = clean(value.part(15).strip())
    return ({"use": "nickname", "given": [said]}, {"given[0]": 15}) if said else None


def human_name(value: Value, walk: Walk, before: int, use: int) -> Converted | None:
    """A HumanName whose family name is component ``before`` + 1, and whose type is component ``use`` (0: none)."""
    found: dict[str, Any] = {}
    parts: Parts = {}

    def add(element: str, component: int) -> None:
        said = clean(value.part(before + component).strip())
        if said:
            listed = found.setdefault(element, [])
            parts[f"{element}[{len(listed)}]"] = before + component
            listed.append(said)

    surnames = value.component(before + 1)
    family = clean(_family(surnames))
    if family:
        found["family"] = family
        parts["family"] = before + 1
    apart = _apart(surnames) if surnames.count > 1 else []
    if apart:
        found["_family"] = {"extension": apart}
        parts["_family"] = before + 1
    add("given", 2)
    add("given", 3)
    add("suffix", 4)
    add("prefix", 5)
    add("suffix", 6)
    if use == 7:
        _more_of_a_person(value, walk, found, parts, add)
    if not found.keys() - {"period"}:
        return None
    if use:
        known = vocabulary("NameType").get(value.part(use).strip())
        if known:
            found["use"] = known.code
            parts["use"] = use
    return found, parts


def _more_of_a_person(
    value: Value, walk: Walk, found: dict[str, Any], parts: Parts, add: Callable[[str, int], None]
) -> None:
    if value.count < 10:
        return
    validity = value.component(10)
    start = value.part(12) or validity.part(1)
    end = value.part(13) or validity.part(2)
    if start or end:
        lasting = period(start, end, walk, (12 if value.component(12) else 10, 13 if value.component(13) else 10))
        if lasting:
            found["period"] = lasting[0]
            parts.update({f"period.{path}": part for path, part in lasting[1].items()})
    add("suffix", 14)


def _family(part: Value) -> str:
    """The surname of an FN, with what stands before it where it was sent apart."""
    surname = part.part(1).strip()
    prefix, own = part.part(2).strip(), part.part(3).strip()
    if surname or not own:
        return surname
    return f"{prefix} {own}".strip()


_SURNAMES: Final = ((2, "own-prefix"), (3, "own-name"), (4, "partner-prefix"), (5, "partner-name"))


def _apart(surnames: Value) -> list[dict[str, str]]:
    """The parts of a surname that were sent apart, as extensions of it."""
    url = "http://hl7.org/fhir/StructureDefinition/humanname-"
    sent = ((name, clean(surnames.part(part).strip())) for part, name in _SURNAMES)
    return [{"url": url + name, "valueString": said} for name, said in sent if said]


def display(name: dict[str, Any]) -> str:
    """A HumanName as a text."""
    words = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", ""), *name.get("suffix", ())]
    return " ".join(word for word in words if word)


_ADDRESS: Final = ((3, "city"), (4, "state"), (5, "postalCode"), (6, "country"), (9, "district"))


def xad(value: Value, walk: Walk) -> Converted | None:
    """An Address."""
    found: dict[str, Any] = {}
    parts: Parts = {}
    streets = ((1, said) for said in _street(value.component(1)))
    for component, said in (*streets, (2, value.part(2)), (8, value.part(8)), (19, value.part(19))):
        said = clean(said.strip())
        if said:
            lines = found.setdefault("line", [])
            parts[f"line[{len(lines)}]"] = component
            lines.append(said)
    for component, element in _ADDRESS:
        said = clean(value.part(component).strip())
        if said:
            found[element] = said
            parts[element] = component
    if not found:
        return None
    kind = value.part(7).strip()
    for element, name in (("use", "AddressType[Use]"), ("type", "AddressType[Type]")):
        known = vocabulary(name).get(kind)
        if known:
            found[element] = known.code
            parts[element] = 7
    if value.count >= 12:
        lasting = _validity(value, walk)
        if lasting:
            found["period"] = lasting[0]
            parts.update({f"period.{path}": part for path, part in lasting[1].items()})
    return found, parts


def _street(street: Value) -> list[str]:
    """The lines of an SAD: the whole of it, and those of its parts that it does not hold; or its parts alone."""
    whole, name, number = (street.part(part).strip() for part in (1, 2, 3))
    if whole:
        return [whole, *(part for part in (name, number) if part and part.casefold() not in whole.casefold())]
    return [f"{number} {name}"]


def _validity(value: Value, walk: Walk) -> Converted | None:
    range_ = value.component(12)
    start = value.part(13) or range_.part(1)
    end = value.part(14) or range_.part(2)
    return period(start, end, walk, (13 if value.component(13) else 12, 14 if value.component(14) else 12))


_URL: Final = re.compile(r"(https?|ftp)://", re.IGNORECASE)


def xtn(use: str = "") -> Callable[[Value, Walk], Converted | None]:
    """A ContactPoint; ``use`` is what the field means where the value does not say it."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        said, component = _number(value)
        if not said:
            return None
        kind, meant = value.part(3).strip(), value.part(2).strip()
        found: dict[str, Any] = {"value": said}
        parts: Parts = {"value": component}
        found["system"] = _system(said, component, kind, meant)
        if kind:
            parts["system"] = 3
        known = vocabulary("TelecommunicationUseCode").get(meant)
        if kind == "CP":
            found["use"] = "mobile"
            parts["use"] = 3
        elif known:
            found["use"] = known.code
            parts["use"] = 2
        elif use:
            found["use"] = use
        if value.count >= 13:
            _more_of_a_contact(value, walk, found, parts)
        return found, parts

    return converted


def _more_of_a_contact(value: Value, walk: Walk, found: dict[str, Any], parts: Parts) -> None:
    """When it may be used, and in which order."""
    lasting = period(value.part(13), value.part(14), walk, (13, 14))
    if lasting:
        found["period"] = lasting[0]
        parts.update({f"period.{path}": part for path, part in lasting[1].items()})
    order = number(value.part(18))
    if order is not None and order == int(order) and 1 <= order < 2**31:
        found["rank"] = int(order)
        parts["rank"] = 18


def _system(said: str, component: int, kind: str, meant: str) -> str:
    if _URL.match(said):
        return "url"
    if component == 4 or kind in ("Internet", "X.400") or meant == "NET" or ("@" in said and not kind):
        return "email"
    known = vocabulary("TelecommunicationEquipmentType").get(kind)
    if meant == "BPN":
        return "pager"
    return "phone" if kind == "CP" or known is None else known.code


def _number(value: Value) -> tuple[str, int]:
    """The number or address, and the component that it comes from: senders of different versions put it elsewhere."""
    mailed = value.part(3).strip() in ("Internet", "X.400")
    order = (4, 12, 1) if mailed else (12, 1, 4)
    for component in order:
        said = clean(value.part(component).strip())
        if said and component != 4:
            return said, component
        if said and (mailed or not any(value.component(other) for other in (6, 7))):
            return said, component
    parts = [value.part(component).strip() for component in (5, 6, 7, 8)]
    country, area, local, extension = parts
    said = " ".join(
        part for part in (f"+{country.lstrip('+')}" if country else "", area and f"({area})", local) if part
    )
    if local and extension:
        said += f" x{extension}"
    if local:
        return clean(said), 7
    return clean(value.part(9).strip()), 9
