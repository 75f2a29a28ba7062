"""What a Reference may point at: its form, its target's type, contained resources. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.r4 import definitions
from fhir_server.validation.primitives import ID

_ID = ID.pattern
RELATIVE = re.compile(rf"([A-Z][A-Za-z]+)(?:/{_ID}(?:/_history/{_ID})?(?:#\S*)?|\?\S+)")
ABSOLUTE = re.compile(rf"https?://[^\s?#]*/([A-Z][A-Za-z]+)/{_ID}(?:/_history/{_ID})?(?:#\S*)?")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


class Problem(NamedTuple):
    """What is wrong with a Reference: the issue type, the child element at fault, and the words."""

    code: str
    element: str
    diagnostics: str


class Container(threading.local):
    """The types of the contained resources within reach of the fast pass, by id; None where there are none."""

    contained: Mapping[str, str] | None = None


container = Container()


@lru_cache(maxsize=1)
def resource_types() -> frozenset[str]:
    """All concrete resource types. https://hl7.org/fhir/R4/resourcelist.html"""
    return frozenset(definitions.load().type_ids)


def contained_types(resource: Mapping[str, Any]) -> dict[str, str]:
    """The types of a resource's contained resources by their ids; malformed ones are left out."""
    items = resource.get("contained")
    if type(items) is not list:
        return {}
    found = {}
    for item in items:
        if type(item) is dict and type(item.get("id")) is str and type(item.get("resourceType")) is str:
            found[item["id"]] = item["resourceType"]
    return found


def problem(
    reference: Mapping[str, Any], targets: frozenset[str], contained: Mapping[str, str] | None
) -> Problem | None:
    """What is wrong with a Reference whose elements have the right types, or None.

    ``targets`` are the resource types allowed, ``contained`` the types of the contained resources by id. ``#`` alone
    means the container, and is allowed where there are contained resources.
    """
    literal, stated = reference.get("reference"), reference.get("type")
    stated = stated.removeprefix(STRUCTURE_DEFINITION) if isinstance(stated, str) else None
    if stated is not None and stated not in targets:
        return Problem(
            "value", "type", f"a reference to {shown(stated)} is not allowed here, only to {listed(targets)}"
        )
    if not isinstance(literal, str):
        return None
    if literal.startswith("#"):
        if literal == "#" and contained is not None:
            return None
        if contained is None or literal[1:] not in contained:
            return Problem(
                "invariant",
                "reference",
                f"ref-1: no contained resource has the id {shown(literal[1:])}; there is: {_first(contained or ())}",
            )
        named = contained[literal[1:]]
    elif literal.startswith("urn:"):
        return None
    else:
        absolute = ABSOLUTE.fullmatch(literal)
        match = absolute or RELATIVE.fullmatch(literal)
        if match is None or match[1] not in resource_types():
            if absolute is not None or SCHEME.fullmatch(literal):
                return None
            return Problem(
                "value",
                "reference",
                f"{shown(literal)} is no reference; write Type/id as 'Patient/123', a URL or '#id'",
            )
        named = match[1]
    if named not in targets:
        return Problem(
            "value", "reference", f"a reference to {shown(named)} is not allowed here, only to {listed(targets)}"
        )
    if stated is not None and stated != named:
        return Problem("value", "type", f"the type is {shown(stated)} but the reference names {shown(named)}")
    return None


def shown(text: str) -> str:
    """A client's value as it may stand in diagnostics: short."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for diagnostics, sorted, the first few of them."""
    ordered = sorted(names)
    if len(ordered) == len(resource_types()):
        return "resource types of FHIR R4"
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return (", ".join(ordered[:most]) or "none") + more


def _first(names: Iterable[str]) -> str:
    return ", ".join(shown(name) for name in itertools.islice(names, 8)) or "none"


def unreferenced(resource: Mapping[str, Any]) -> list[int]:
    """The positions of contained resources that nothing refers to (dom-3). https://hl7.org/fhir/R4/references.html#contained

    A contained resource is referred to by ``#id`` anywhere in its container, or refers to its container by ``#``.
    """
    items = resource.get("contained")
    if type(items) is not list:
        return []
    used = local_links(resource)
    lonely = []
    for position, item in enumerate(items):
        if type(item) is dict and "#" + str(item.get("id")) not in used and "#" not in local_links(item):
            lonely.append(position)
    return lonely


def local_links(tree: Any) -> set[str]:
    """Every string below a node that starts with ``#``: local references, canonicals and URLs."""
    found: set[str] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        values = node.values() if type(node) is dict else node
        for value in values:
            if type(value) is str:
                if value[:1] == "#":
                    found.add(value)
            elif type(value) is dict or type(value) is list:
                waiting.append(value)
    return found
