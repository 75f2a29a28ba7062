"""A feed's own mapping as it is written, a small TOML file, checked before it is used. docs/hl7-overrides.md"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from fhir_server.r4.definitions import load
from hl7_gateway.overrides.change import (
    CANONICAL,
    PLACE,
    Change,
    Copy,
    Drop,
    FieldPath,
    Put,
    Read,
    Translate,
    TranslateByMap,
)
from hl7_gateway.overrides.datatypes import DATATYPES

MOST: Final = 500
"""How many changes a feed may have."""

LONGEST: Final = 200_000
"""How many characters a file may have."""


class NotAMapping(ValueError):
    """What is wrong with a file: each problem with its place, and what would be right."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def read(text: str) -> tuple[Change, ...]:
    """The changes of a file, in its order within each kind: put, drop, copy, translate, read. Raises NotAMapping."""
    if len(text) > LONGEST:
        raise NotAMapping([f"The file may have {LONGEST:,} characters."])
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotAMapping([f"This is not TOML: {error}"]) from None
    problems: list[str] = []
    changes: list[Change] = []
    for name, tables in found.items():
        if name not in _KINDS:
            problems.append(f"[[{name}]] is not known; there are {', '.join(f'[[{one}]]' for one in _KINDS)}.")
        elif not isinstance(tables, list):
            problems.append(f"[[{name}]] is written with two brackets, once for each change.")
    for name, (required, optional, make) in _KINDS.items():
        tables = found.get(name, [])
        for number, table in enumerate(tables if isinstance(tables, list) else [], 1):
            where = f"[[{name}]] no. {number}"
            if not isinstance(table, dict):
                problems.append(f"{where} must be a table.")
                continue
            wrong = _keys(where, table, required, optional)
            if not wrong:
                try:
                    made = make(table)
                    changes.append(replace(made, where=where) if isinstance(made, TranslateByMap) else made)
                except ValueError as error:
                    wrong = [f"{where}: {error}"]
            problems += wrong
    if len(changes) > MOST:
        problems.append(f"There are {len(changes)} changes; a feed may have {MOST}.")
    if problems:
        raise NotAMapping(problems)
    return tuple(changes)


def _keys(
    where: str, table: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
) -> list[str]:
    known = {**required, **optional}
    problems = [f"{where}: {key} is not known; there are {', '.join(known)}." for key in table if key not in known]
    problems += [f"{where}: {key} is missing." for key in required if key not in table]
    for key, kind in known.items():
        if key in table and type(table[key]) is not kind:
            problems.append(f"{where}: {key} must be {_NAMES[kind]}.")
    return problems


_NAMES: Final = {str: "a text in quotes", bool: "true or false", dict: 'a table, as in {A = "B"}'}


def path(text: str) -> FieldPath:
    """PID-13 or PID-13.4. Raises ValueError."""
    match = PLACE.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:20]!r} is not a field as in PID-13 or PID-13.4")
    if match[1] == "MSH" and int(match[2]) < 3:
        raise ValueError("MSH-1 and MSH-2 hold the delimiters and cannot be changed")
    return FieldPath(match[1], int(match[2]), int(match[3] or 0))


def _put(table: Mapping[str, Any]) -> Put:
    value = table["value"]
    if any(character in value for character in "\r\n"):
        raise ValueError("value must be one line")
    return Put(path(table["field"]), value, table.get("only_empty", False))


def _copy(table: Mapping[str, Any]) -> Copy:
    return Copy(path(table["from"]), path(table["to"]), table.get("move", False), table.get("add", False))


_WHOSE: Final = {"PID": (2, 3, 4), "MRG": (1, 2, 4)}
"""Fields that tell whose a message is: they are read when it comes, by processes that load no ConceptMap."""


def _translate(table: Mapping[str, Any]) -> Translate | TranslateByMap:
    if ("codes" in table) == ("map" in table):
        raise ValueError("give either codes, as pairs, or map, the canonical URL of a ConceptMap")
    if "map" in table:
        return _by_map(table)
    for key in ("source", "target", "coding"):
        if key in table:
            raise ValueError(f"{key} belongs to map, and there is none")
    codes = table["codes"]
    if not codes or not all(isinstance(code, str) for code in codes.values()):
        raise ValueError('codes must be pairs of texts, as in {A = "B"}')
    return Translate(path(table["field"]), tuple(codes.items()))


def _by_map(table: Mapping[str, Any]) -> TranslateByMap:
    url, _, version = table["map"].partition("|")
    if not CANONICAL.fullmatch(url) or ("|" in table["map"] and not version.strip()):
        raise ValueError("map must be the canonical URL of a ConceptMap, or URL|version")
    field, coding = path(table["field"]), table.get("coding", False)
    if field.field in _WHOSE.get(field.segment, ()):
        raise ValueError(f'{field.segment}-{field.field} tells whose a message is; list its codes, as in {{A = "B"}}')
    if coding and field.component:
        raise ValueError("with coding, field must be a whole field, as in OBX-3")
    return TranslateByMap(field, url, version, table.get("source", ""), table.get("target", ""), coding, "")


def _read(table: Mapping[str, Any]) -> Read:
    kind, datatype = table["resource"], table["type"]
    if kind not in load().type_ids:
        raise ValueError(f"resource: there is no resource type {kind[:40]!r}")
    if datatype not in DATATYPES:
        raise ValueError(f"type: {datatype[:20]!r} is not known; there are {', '.join(DATATYPES)}")
    url, element = table.get("extension", ""), table.get("element", "extension")
    if url and ":" not in url:
        raise ValueError("extension must be a URL")
    if bool(url) == (element != "extension"):
        raise ValueError("give either extension, a URL, or element, a path as in maritalStatus")
    repeats = _repeats(kind, element)
    field = path(table["field"])
    if field.component:
        raise ValueError("field must be a whole field, as in ZPI-3")
    many = table.get("many", False)
    if many and not repeats:
        raise ValueError(f"many: {kind}.{element} does not repeat")
    return Read(field, kind, element, datatype, url, many)


def _repeats(kind: str, element: str) -> bool:
    """Whether an element repeats. Raises ValueError where there is none, or it stands in one that repeats."""
    current, repeats = kind, False
    for step in element.split("."):
        if repeats:
            raise ValueError(f"element: {kind}.{element[:60]} stands within an element that repeats")
        names = load().types[current].elements.values() if current in load().types else ()
        found = next(((one, ref) for one in names for name, ref in one.json_names().items() if name == step), None)
        if found is None:
            raise ValueError(f"element: {kind} has no {element[:60]}")
        current, repeats = found[1].code, found[0].max != 1
    return repeats


_Kind = tuple[Mapping[str, type], Mapping[str, type], Callable[[Mapping[str, Any]], Change]]

_KINDS: Final[Mapping[str, _Kind]] = {
    "put": ({"field": str, "value": str}, {"only_empty": bool}, _put),
    "drop": ({"field": str}, {}, lambda table: Drop(path(table["field"]))),
    "copy": ({"from": str, "to": str}, {"move": bool, "add": bool}, _copy),
    "translate": (
        {"field": str},
        {"codes": dict, "map": str, "source": str, "target": str, "coding": bool},
        _translate,
    ),
    "read": (
        {"field": str, "resource": str, "type": str},
        {"element": str, "extension": str, "many": bool},
        _read,
    ),
}
