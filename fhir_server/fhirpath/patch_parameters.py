"""The Parameters resource of a FHIRPath Patch, read and checked. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.errors import BadRequest, TooLarge
from fhir_server.r4 import definitions
from fhir_server.r4.json import Json

MAX_OPERATIONS = 1_000

_TAKES: dict[str, tuple[str, ...]] = {
    "add": ("name", "value"),
    "insert": ("value", "index"),
    "delete": (),
    "replace": ("value",),
    "move": ("source", "destination"),
}
"""The parts that each type of operation needs beside its path."""

_FORMS = {
    "type": ("valueCode", "valueString"),
    "path": ("valueString",),
    "name": ("valueString",),
    "index": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
    "source": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
    "destination": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
}
"""The properties in which each part may have its value."""


@dataclass(frozen=True, slots=True)
class Value:
    """Content to put in: a value[x] with its type, a resource, or the parts of an element without a type of its own.

    ``sibling`` is what stands in ``_value[x]``. ``parts`` are (name, Value) pairs, in order.
    """

    location: str
    type: str = ""
    json: Json = None
    sibling: Json = None
    parts: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``type`` is add, insert, delete, replace or move; positions are -1 where the type has none."""

    location: str
    type: str
    path: str
    name: str
    value: Value
    index: int
    source: int
    destination: int


def read_operations(parameters: Json) -> list[Operation]:
    """The operations in their order.

    Raises BadRequest for anything but a Parameters resource of such operations, with the place as FHIRPath; TooLarge
    for more than MAX_OPERATIONS.
    """
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise BadRequest("A FHIRPath Patch is a Parameters resource", expression="Parameters")
    entries = parameters.get("parameter")
    if not isinstance(entries, list) or not entries:
        raise BadRequest("The patch has no parameter called operation", expression="Parameters.parameter")
    if len(entries) > MAX_OPERATIONS:
        raise TooLarge(f"A FHIRPath Patch may have {MAX_OPERATIONS} operations; this one has {len(entries)}")
    return [_operation(entry, f"Parameters.parameter[{at}]") for at, entry in enumerate(entries)]


def _operation(entry: Json, location: str) -> Operation:
    if not isinstance(entry, dict) or entry.get("name") != "operation":
        raise BadRequest("Every parameter of a FHIRPath Patch is called operation", expression=location)
    parts = _parts(entry, location)
    kind = _simple(parts, "type", location, str)
    if kind not in _TAKES:
        raise BadRequest(f"type must be one of {', '.join(_TAKES)}", expression=location)
    for name in ("path", *_TAKES[kind]):
        if name not in parts:
            raise BadRequest(f"{kind} needs a part called {name}", expression=location)
    value = _value(*parts["value"]) if "value" in parts else Value(location)
    return Operation(
        location,
        kind,
        _simple(parts, "path", location, str),
        _simple(parts, "name", location, str) if "name" in parts else "",
        value,
        *(_simple(parts, name, location, int) if name in parts else -1 for name in ("index", "source", "destination")),
    )


Parts = dict[str, tuple[dict[str, Any], str]]


def _parts(entry: dict[str, Any], location: str) -> Parts:
    found: Parts = {}
    for part, place in _named_parts(entry, location):
        name = part["name"]
        if name not in _FORMS and name != "value":
            raise BadRequest(f"An operation has the parts {', '.join((*_FORMS, 'value'))}", expression=place)
        if name in found:
            raise BadRequest(f"There is more than one part called {name}", expression=place)
        found[name] = (part, place)
    return found


def _named_parts(entry: dict[str, Any], location: str) -> list[tuple[dict[str, Any], str]]:
    parts = entry.get("part")
    if not isinstance(parts, list) or not parts:
        raise BadRequest("There are no parts", expression=f"{location}.part")
    named = []
    for at, part in enumerate(parts):
        place = f"{location}.part[{at}]"
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise BadRequest("A part needs a name", expression=place)
        named.append((part, place))
    return named


def _simple(parts: Parts, name: str, location: str, kind: type) -> Any:
    part, place = parts.get(name, ({}, location))
    for form in _FORMS[name]:
        value = part.get(form)
        if type(value) is kind and (kind is str or _is_position(value)):
            return value
    problem = "a position from 0" if kind is int else "a text"
    raise BadRequest(f"The part {name} needs {problem} in {' or '.join(_FORMS[name])}", expression=place)


def _is_position(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _value(part: dict[str, Any], location: str, depth: int = 0) -> Value:
    """The content of a part called value, or of a part of it."""
    if depth > 32:
        raise BadRequest("The parts are nested more than 32 levels", expression=location)
    forms = definitions.load().types["Parameters.parameter"].elements["value"].json_names()
    given = {name.removeprefix("_") for name in part if name.removeprefix("_") in forms}
    kinds = len(given) + ("resource" in part) + ("part" in part)
    if kinds != 1:
        raise BadRequest("The part needs one value[x], one resource, or parts", expression=location)
    if "resource" in part:
        resource = part["resource"]
        if not isinstance(resource, dict) or resource.get("resourceType") not in definitions.load().type_ids:
            raise BadRequest("The resource needs a resourceType of FHIR R4", expression=f"{location}.resource")
        return Value(location, resource["resourceType"], resource)
    if "part" in part:
        inner = tuple((p["name"], _value(p, place, depth + 1)) for p, place in _named_parts(part, location))
        return Value(location, parts=inner)
    form = given.pop()
    value, sibling = part.get(form), part.get("_" + form)
    if (value is None and not isinstance(sibling, dict)) or isinstance(value, list) or _is_hollow(value):
        # Written into the resource it would be taken out as empty, and the old value would be gone.
        raise BadRequest(f"{form} has no value", expression=location)
    return Value(location, forms[form].code, value, sibling)


def _is_hollow(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return members is not None and all(_is_hollow(member) for member in members)
