"""What FHIR says of an element that a statement is about: does it repeat, what can it not stand beside. https://hl7.org/fhir/R4/elementdefinition.html"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element, TypeRef


class NoSuchElement(ValueError):
    """A path that a resource type does not have. What it says names the path, which a mapping has, not a message."""


class Kind(NamedTuple):
    """Of an element: whether it repeats, whether it has to be there, and what else it could be instead.

    ``rivals`` are the other properties of its choice ("valueString" for "valueQuantity"), with their extensions.
    """

    repeats: bool
    required: bool
    rivals: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def _properties(type_name: str) -> dict[str, tuple[Element, TypeRef]]:
    found = definitions.load().types[type_name]
    return {name: (element, ref) for element in found.elements.values() for name, ref in element.json_names().items()}


@lru_cache(maxsize=8192)
def kind_of(resource_type: str, path: str) -> Kind:
    """What is known of the element at a path ("period.start", "_birthDate").

    Raises NoSuchElement for a path that the resource type does not have, or that leads through what repeats.
    """
    names = path.split(".")
    current = resource_type
    for place, name in enumerate(names):
        plain = name.removeprefix("_")
        if current not in definitions.load().types or plain not in _properties(current):
            raise NoSuchElement(f"{resource_type} has no element {path}")
        element, ref = _properties(current)[plain]
        if place == len(names) - 1:
            return _kind(element, name)
        if element.max != 1:
            raise NoSuchElement(f"{resource_type}.{path} leads through an element that repeats")
        current = ref.code
    raise AssertionError("a path has a name at least")


def _kind(element: Element, name: str) -> Kind:
    plain = name.removeprefix("_")
    others = [one for one in element.json_names() if one != plain]
    return Kind(element.max != 1, element.min > 0, tuple(form for one in others for form in (one, "_" + one)))


def required_in(type_name: str, name: str) -> bool:
    """Whether a value of this type is not valid without the property; False for what is not known."""
    if type_name not in definitions.load().types:
        return False
    found = _properties(type_name).get(name)
    return found is not None and found[0].min > 0


def type_within(type_name: str, name: str) -> str:
    """The type of a property of a type; "" for what is not known."""
    if type_name not in definitions.load().types:
        return ""
    found = _properties(type_name).get(name)
    return "" if found is None else found[1].code


@lru_cache(maxsize=8192)
def type_at(resource_type: str, path: str) -> str:
    """The type of the element at a path that `kind_of` knows."""
    current = resource_type
    for name in path.split("."):
        current = type_within(current, name.removeprefix("_"))
    return current
