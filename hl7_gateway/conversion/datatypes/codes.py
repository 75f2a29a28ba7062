"""CWE, CNE, CE, IS, ID. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hl7_gateway.conversion.datatypes.simple import clean, token
from hl7_gateway.conversion.vocabulary import TERMINOLOGY, known_system, vocabulary
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.feed_mapping import FeedMapping, own_system
from hl7_gateway.message import Value

Convert = Callable[[Value, Walk], Converted | None]


def code_system(name: str, walk: Walk) -> str:
    """The URI of a coding system as the sender names it: the feed's own table first, then those that HL7 names."""
    return system_of(name, walk.mapping)


def system_of(name: str, mapping: FeedMapping) -> str:
    """The same, as a feed means it."""
    name = name.strip()
    if not name:
        return ""
    mine = mapping.code_systems.get(name)
    if mine:
        return mine
    return known_system(name) or own_system(mapping.name, name)


def concept(map_name: str = "", table: str = "") -> Convert:
    """A CodeableConcept.

    ``map_name`` is the vocabulary map that translates its code, beside which the code stays as it was sent.
    ``table`` is the HL7 table that a code is of whose coding system was not sent.
    """
    targets = vocabulary(map_name) if map_name else {}

    def converted(value: Value, walk: Walk) -> Converted | None:
        return concept_of(value, walk, targets, table)

    return converted


def concept_of(value: Value, walk: Walk, targets: Any, table: str) -> Converted | None:
    """A CodeableConcept of a repetition or component.

    What a feed means by a text is remembered: its messages say the same codes over and over.
    """
    if len(value.raw) > _LONGEST_REMEMBERED:
        return _concept(value, walk, targets, table)
    memo = walk.mapping.memo
    key = (value.raw, value.level, value.delimiters, id(targets), table)
    known = memo.get(key)
    if known is None:
        if len(memo) >= _MOST_REMEMBERED:
            memo.clear()
        # The map is kept beside what came of it, so that no other one can have its id.
        known = memo[key] = (targets, _concept(value, walk, targets, table))
    found = known[1]
    if found is None:
        return None
    # Whoever takes it may change it.
    concept = dict(found[0])
    if "coding" in concept:
        concept["coding"] = [dict(one) for one in concept["coding"]]
    return concept, dict(found[1])


_MOST_REMEMBERED: Final = 10_000
_LONGEST_REMEMBERED: Final = 200


def _concept(value: Value, walk: Walk, targets: Any, table: str) -> Converted | None:
    codings: list[dict[str, Any]] = []
    parts: Parts = {}
    subcomponents = value.level > 0
    size = value.count
    for start in (1, 4, 10):
        if start > size:
            break
        coding, places = _coding(value, start, walk, table if start == 1 else "")
        if not coding:
            continue
        target = targets.get(coding.get("code", ""))
        if target is not None and (target.code, target.system) != (coding.get("code"), coding.get("system")):
            mapped = {"code": target.code}
            if target.system:
                mapped["system"] = target.system
            if target.display:
                mapped["display"] = target.display
            parts[f"coding[{len(codings)}].code"] = 0 if subcomponents else start
            codings.append(mapped)
        for element, component in places.items():
            parts[f"coding[{len(codings)}].{element}"] = 0 if subcomponents else component
        codings.append(coding)
    found: dict[str, Any] = {}
    if codings:
        found["coding"] = codings
    original = value.part(9).strip() if size > 8 else ""
    label = value.part(2).strip() if not codings else ""
    said = clean(original or label)
    if said:
        found["text"] = said
        parts["text"] = 0 if subcomponents else (9 if original else 2)
    return (found, parts) if found else None


def _coding(value: Value, start: int, walk: Walk, table: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The coding of components ``start`` to ``start`` + 2, where there is a code."""
    code = token(value.part(start))
    if not code:
        return {}, {}
    found = {"code": code}
    places = {"code": start}
    label = clean(value.part(start + 1).strip())
    if label:
        found["display"] = label
        places["display"] = start + 1
    named = value.part(start + 2)
    system = code_system(named, walk)
    if system:
        found["system"] = system
        places["system"] = start + 2
    elif table:
        found["system"] = f"{TERMINOLOGY}v2-{table}"
    if start != 10:
        version = clean(value.component(7 if start == 1 else 8).text.strip())
        if version:
            found["version"] = version
            places["version"] = 7 if start == 1 else 8
    return found, places


def coding(map_name: str = "", table: str = "") -> Convert:
    """A Coding: what the guide's map makes of the code, or the code as it was sent."""
    whole = concept(map_name, table)

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = whole(value, walk)
        if found is None or "coding" not in found[0]:
            return None
        first = "coding[0]."
        parts: Parts = {path.removeprefix(first): part for path, part in found[1].items() if path.startswith(first)}
        return found[0]["coding"][0], parts

    return converted


def code(map_name: str) -> Convert:
    """A code that a vocabulary map makes of the one that was sent; what it does not know is left out with a warning."""
    targets = vocabulary(map_name)

    def converted(value: Value, walk: Walk) -> Converted | None:
        sent = value.text.strip()
        if not sent:
            return None
        target = targets.get(sent) or targets.get(sent.upper())
        if target is None:
            walk.warn(f"The map {map_name} has no target for this code; it was left out.")
            return None
        return target.code, {"": 1}

    return converted


def fixed_concept(code: str, system: str, display: str = "", text: str = "") -> dict[str, Any]:
    """A CodeableConcept that the meaning of a field gives, not its content."""
    found = {"system": system, "code": code}
    if display:
        found["display"] = display
    return {"coding": [found], "text": text} if text else {"coding": [found]}
