"""XCN, XON, PL, HD: who and where is only mentioned. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html

Who is mentioned with an identifier, and a place, become resources of their own where there are none yet; what is there
is never changed by a mention. Who is mentioned by name only is a name: two persons may have the same one.
"""

from __future__ import annotations

from typing import Any

from hl7_gateway.conversion.datatypes.codes import code_system
from hl7_gateway.conversion.datatypes.identifiers import ei, ei_pair, type_of
from hl7_gateway.conversion.datatypes.names import display, human_name
from hl7_gateway.conversion.datatypes.simple import clean
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.conversion.vocabulary import TERMINOLOGY, vocabulary
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.feed_mapping import NPI, own_system
from hl7_gateway.message import Value


def practitioner(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Practitioner of an XCN."""
    number = clean(value.part(1).strip())
    name = human_name(value, walk, 1, use=0)
    if not number:
        return ({"display": display(name[0])}, {"display": 2}) if name else None
    kind = clean(value.part(13).strip())
    system = NPI if kind == "NPI" else walk.mapping.system(value.component(9), walk.message, value.component(14))
    made, new = walk.stub("Practitioner", (system, number))
    if new:
        made.identifiers = [(system, number)]
        identifier: dict[str, Any] = {"system": system, "value": number}
        if kind:
            identifier["type"] = type_of(kind)
        walk.state(
            made, "identifier", identifier, {"value": 1, "system": 9, "type": 13} if kind else {"value": 1, "system": 9}
        )
        if name:
            use = vocabulary("NameType").get(value.part(10).strip())
            if use:
                name[0]["use"] = use.code
            walk.state(made, "name", name[0], name[1])
    return made.reference, {"": 1}


def organization(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Organization of an XON."""
    made = organization_of(value, walk)
    return (made.reference, {"": 1}) if made else None


def organization_of(value: Value, walk: Walk) -> Draft | None:
    """The Organization of an XON."""
    name = clean(value.part(1).strip())
    number = clean(value.part(10).strip() or value.part(3).strip())
    if not name and not number:
        return None
    return organization_draft(walk, name, number, value.component(6), value.component(8))


def organization_draft(
    walk: Walk, name: str, number: str, authority: Value | None = None, facility: Value | None = None
) -> Draft:
    """An Organization that is mentioned; one without an identifier is known by its name, to this feed only."""
    if number:
        empty = Value("", walk.message.delimiters, 1)
        system = walk.mapping.system(authority or empty, walk.message, facility)
        made, new = walk.stub("Organization", (system, number))
        if new:
            made.identifiers = [(system, number)]
            walk.state(made, "identifier", {"system": system, "value": number}, {"value": 10, "system": 6})
            walk.state(made, "name", name or number, {"": 1})
        return made
    made, new = walk.stub("Organization", (name.casefold(),))
    if new:
        made.natural = (walk.mapping.name, " ".join(name.casefold().split()))
        walk.state(made, "name", name, {"": 1})
    return made


def named_organization(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Organization that an HD, or a CWE, names."""
    name = clean(value.part(2).strip() or value.part(1).strip())
    return (organization_draft(walk, name, "").reference, {"": 1}) if name else None


def coded_organization(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Organization of a CWE: its code, its name, and whose code it is."""
    code, name = clean(value.part(1).strip()), clean(value.part(2).strip())
    if not code and not name:
        return None
    number = code if name else ""
    return organization_draft(walk, name or code, number, value.component(3)).reference, {"": 1}


def device(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Device of an EI."""
    known, identifier = ei_pair(value, walk), ei()(value, walk)
    if known is None or identifier is None:
        return None
    made, new = walk.stub("Device", known)
    if new:
        made.identifiers = [known]
        walk.state(made, "identifier", *identifier, slot=f"{walk.slot()}#device")
    return made.reference, {"": 1}


def coded_device(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Device that a CWE names: its code is its number, its text what people call it."""
    number, label = clean(value.part(1).strip()), clean(value.part(2).strip())
    if not number:
        return ({"display": label}, {"display": 2}) if label else None
    system = code_system(value.part(3), walk) or own_system(walk.mapping.name, "device")
    made, new = walk.stub("Device", (system, number))
    if new:
        made.identifiers = [(system, number)]
        walk.state(made, "identifier", {"system": system, "value": number}, {"value": 1}, slot=f"{walk.slot()}#device")
        if label:
            called = {"name": label, "type": "user-friendly-name"}
            walk.state(made, "deviceName", called, {"name": 2}, slot=f"{walk.slot()}#name")
    return made.reference, {"": 1}


def site(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Location that an HD names: the same as that of a PL which names a facility alone."""
    name = clean(value.part(1).strip() or value.part(2).strip())
    return (_place(walk, f"{name}/", name, ("si", "Site"), 1, None).reference, {"": 1}) if name else None


def destination(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Location that a DLD names, by a code and its meaning."""
    kind = value.component(1)
    code, label = clean(kind.part(1).strip()), clean(kind.part(2).strip())
    if not code and not label:
        return None
    return _place(walk, code or label, label or code, ("si", "Site"), 1, None).reference, {"": 1}


_LEVELS = ((7, "bu", "Building"), (8, "lvl", "Level"), (1, "wa", "Ward"), (2, "ro", "Room"), (3, "bd", "Bed"))


def location(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Location of a PL: the most exact place that it names, which knows in what it stands."""
    facility = value.component(4)
    whole = clean(facility.part(1).strip())
    outer: Draft | None = None
    path = whole
    said: list[str] = []
    for component, kind, label in _LEVELS:
        part = clean(value.component(component).part(1).strip())
        if not part:
            continue
        path = f"{path}/{part}"
        said.append(part)
        outer = _place(walk, path, " ".join(said), (kind, label), component, outer)
    if outer is None:
        described = clean(value.part(9).strip() or whole)
        if not described:
            return None
        outer = _place(walk, f"{whole}/" if whole else described, described, ("si", "Site"), 9, None)
    return outer.reference, {"": 0}


def _place(walk: Walk, path: str, name: str, kind: tuple[str, str], component: int, outer: Draft | None) -> Draft:
    made, new = walk.stub("Location", (path,))
    if new:
        system = own_system(walk.mapping.name, "location")
        made.identifiers = [(system, path)]
        walk.state(made, "identifier", {"system": system, "value": path})
        walk.state(made, "name", name, {"": component})
        physical = {"system": TERMINOLOGY + "location-physical-type", "code": kind[0], "display": kind[1]}
        walk.state(made, "physicalType", {"coding": [physical]}, slot=f"{walk.slot()}#type")
        walk.state(made, "mode", "instance", slot=f"{walk.slot()}#mode")
        if outer is not None:
            walk.state(made, "partOf", outer.reference, slot=f"{walk.slot()}#partOf")
    return made
