"""Parts of a resource, as _summary and _elements ask for them. https://hl7.org/fhir/R4/search.html#summary"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element
from fhir_server.r4.json import Json

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = ("resourceType", "id", "meta")


def subset(resource: dict[str, Json], *, summary: str = "", elements: Collection[str] = ()) -> dict[str, Json]:
    """The part of a resource that was asked for, tagged SUBSETTED. https://hl7.org/fhir/R4/search.html#elements

    ``summary`` is true, text or data; "", "false" and "count" leave the resource whole. ``elements`` are names of
    top-level elements, without "[x]". Mandatory elements stay in any case; modifier elements as well, lest the part be
    misread, except under "text", where the narrative speaks for all. The resource given is not changed.
    """
    if elements:
        wanted = frozenset(elements)
        kept = _elements(resource, lambda element: element.name in wanted or _needed(element))
    elif summary == "true":
        kept = _summary(resource, resource["resourceType"])
    elif summary == "text":
        kept = _elements(resource, lambda element: element.name == "text" or element.min > 0)
    elif summary == "data":
        kept = {name: value for name, value in resource.items() if name != "text"}
    else:
        return resource
    return _tagged(resource, kept)


def is_subset(resource: dict[str, Json]) -> bool:
    """Whether a resource says that it is a part of one. https://hl7.org/fhir/R4/search.html#elements"""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return isinstance(tags, list) and any(
        isinstance(tag, dict) and tag.get("system") == SUBSETTED["system"] and tag.get("code") == SUBSETTED["code"]
        for tag in tags
    )


def _elements(resource: dict[str, Json], wanted: Callable[[Element], bool]) -> dict[str, Json]:
    names = _names(resource["resourceType"])
    return {
        name: value
        for name, value in resource.items()
        if name in _ALWAYS or ((element := names.get(name.removeprefix("_"))) and wanted(element))
    }


def _summary(value: dict[str, Json], type_name: str) -> dict[str, Json]:
    """The summary elements of a resource or backbone; datatypes are kept whole, since all their elements are."""
    names = _names(type_name)
    kept: dict[str, Json] = {}
    for name, part in value.items():
        element = names.get(name.removeprefix("_"))
        if name in _ALWAYS:
            kept[name] = part
        elif element is not None and (element.summary or _needed(element)):
            kept[name] = _nested(part, element)
    return kept


def _nested(part: Json, element: Element) -> Json:
    code = element.types[0].code
    if "." not in code:
        return part
    if isinstance(part, list):
        return [_summary(item, code) for item in part]
    return _summary(part, code)


def _needed(element: Element) -> bool:
    return element.min > 0 or element.modifier


@cache
def _names(type_name: str) -> dict[str, Element]:
    """The elements of a type by the property names that they have in JSON."""
    elements = definitions.load().types[type_name].elements
    return {name: element for element in elements.values() for name in element.json_names()}


def _tagged(resource: dict[str, Json], kept: dict[str, Json]) -> dict[str, Json]:
    meta = dict(resource.get("meta") or {})
    tags = list(meta.get("tag") or ())
    if not any(tag.get("system") == SUBSETTED["system"] and tag.get("code") == "SUBSETTED" for tag in tags):
        tags.append(SUBSETTED)
    return {"resourceType": resource["resourceType"], **kept, "meta": meta | {"tag": tags}}
