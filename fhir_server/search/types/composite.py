"""Composite search: several values of one element at once. https://hl7.org/fhir/R4/search.html#composite

What is written depends on the second component, the first being a token in one of its variants (``s:system`` left
out) or a reference:

- token or reference: the token ``{param}:x:{variant}${variant}``;
- number, date or string: a row of idx_composite under ``{param}:x:{variant}`` with the range in ``low`` and ``high``
  (dates in microseconds) and, in ``value``, the normalised string;
- quantity: a row as stated under ``{param}:x:{variant}`` and, where UCUM knows its unit, a canonical one under
  ``{param}:x:{variant}#{base units}``. Variants are ``c:{code}`` alone: the hash of ``b:{system}|{code}`` is in
  ``value``, with those of the units as stated, so that there are not twice as many rows;
- two numbers behind the token (start and end of MolecularSequence's coordinates): one row, the second component in
  ``low`` and the third in ``high``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import instants, references
from fhir_server.r4.definitions import Component
from fhir_server.search import date_ranges, number_ranges, token_variants, units
from fhir_server.search.condition import Condition
from fhir_server.search.number_ranges import Scale
from fhir_server.search.paths import Path, paths
from fhir_server.search.query import Clause
from fhir_server.search.registry import Parameter, by_url
from fhir_server.search.sql import SqlParameters
from fhir_server.search.text_forms import normalise, starts_with
from fhir_server.search.values import bad_modifier, bad_value, split, split_prefix, unescape
from fhir_server.store.index_rows import IndexRows

Kinds = tuple[tuple[str, str], ...]
"""Of each component: its search parameter type and the type of its element."""

_AS_TOKENS = ("token", "reference")
_MOST_KEPT = 500


_WRITTEN: dict[str, frozenset[str]] = {
    "token": token_variants.CODED | {"ContactPoint", "boolean", "code", "id", "string", "uri"},
    "reference": frozenset({"Reference"}),
    "quantity": units.QUANTITIES | {"Money", "Range", "SampledData"},
    "number": frozenset({"decimal", "integer", "positiveInt", "unsignedInt"}),
    "date": frozenset({"date", "dateTime", "instant", "Period"}),
    "string": frozenset({"string", "markdown"}),
}


def write(param: int, kinds: Kinds, values: tuple[Any, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write one combination of component values, all of them from the same element. Raises TooLarge."""
    first = _variants(*kinds[0], values[0])
    if not first:
        return
    if len(kinds) == 3:
        rows.make_room(len(first))
        start, end = number_ranges.exact(values[1]), number_ranges.exact(values[2])
        rows.composites += [(hasher(f"{param}:x:{one}"), start, end, "") for one in first]
        return
    kind, type_name = kinds[1]
    if kind in _AS_TOKENS:
        second = _variants(kind, type_name, values[1])
        rows.make_room(len(first) * len(second))
        rows.tokens += [hasher(f"{param}:x:{one}${two}") for one in first for two in second]
        return
    if kind == "quantity":
        _write_quantity(param, first, units.written(type_name, values[1], hasher), rows, hasher)
        return
    rows.make_room(len(first))
    span = _span(kind, type_name, values[1])
    rows.composites += [(hasher(f"{param}:x:{one}"), *span) for one in first]


def _write_quantity(
    param: int, first: list[str], quantity: units.Written | None, rows: IndexRows, hasher: Hasher
) -> None:
    if quantity is None:
        return
    stated, canonical, unit = quantity
    # Codes are few; what is longer than any is not worth remembering.
    fold = _kept_codes if sum(map(len, first)) < _MOST_KEPT else _codes
    codes = fold(hasher, tuple(first))
    rows.make_room(2 * len(codes))
    for code, with_system in codes:
        rows.composites.append((hasher(f"{param}:x:{code}"), *stated, unit.text + with_system))
        if unit.base:
            rows.composites.append((hasher(f"{param}:x:{code}#{unit.base}"), *canonical, with_system[1:]))


def _codes(hasher: Hasher, variants: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each variant without a system, and the hashes of those with one that it stands for, each after a space."""
    found: dict[str, str] = {}
    for variant in variants:
        code = _without_system(variant)
        found[code] = found.get(code, "") + (f" {hasher.uncached(variant)}" if code != variant else "")
    return tuple(found.items())


_kept_codes = lru_cache(maxsize=4_096)(_codes)


def _without_system(variant: str) -> str:
    """``b:system|code`` as ``c:code``; other variants as they are. A system holds no "|"."""
    return f"c:{variant.partition('|')[2]}" if variant.startswith("b:") else variant


def _variants(kind: str, type_name: str, value: Any) -> list[str]:
    if kind == "reference":
        target = references.target(value.get("reference", ""))
        return [f"r:{target}"] if target else []
    if type_name != "CodeableConcept":
        # Where a boolean stands a code may stand as well (Group.characteristic.value), so that "|false" is asked for.
        found = token_variants.written(type_name, value, among_coded=type_name == "boolean")
        return [variant for variant in found if not variant.startswith("s:")]
    # The same without the system alone; nearly every composite starts like this.
    coded: list[str] = []
    for coding in value.get("coding", ()):
        code = coding.get("code")
        if code is not None:
            coded += (f"c:{code}", f"b:{coding.get('system', '')}|{code}")
    return coded


def _span(kind: str, type_name: str, value: Any) -> tuple[float, float, str]:
    if kind == "string":
        return 0.0, 0.0, normalise(value)
    if kind == "date":
        start, end = instants.period(value) if type_name == "Period" else instants.interval(value)
        return float(start), float(end), ""
    point = number_ranges.exact(value)
    return point, point, ""


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a composite as it is searched: the code and type of its own parameter, its paths and targets."""

    code: str
    kind: str
    paths: tuple[Path, ...]
    targets: tuple[str, ...]


@lru_cache(maxsize=512)
def parts(parameter: Parameter, root: str) -> tuple[Part, ...]:
    """The components of a composite below ``root``, one of the types that its expression leads to.

    Raises ValueError for a component none of whose values is written.
    """
    return tuple(_part(parameter, component, root) for component in parameter.components)


def _part(parameter: Parameter, component: Component, root: str) -> Part:
    definition = by_url()[component.definition]
    found = paths(component.expression, root, in_type=parameter.resource_type)
    # The two definitions of DocumentReference.relationship are the wrong way round in 4.0.1; the expressions are right.
    for kind in (definition.type, *_AS_TOKENS):
        usable = tuple(path for path in found if path.type in _WRITTEN[kind])
        if usable:
            return Part(definition.code, kind, usable, definition.targets or (parameter.resource_type,))
    raise ValueError(f"{parameter.url} has a component without values: {component.expression}")


@lru_cache(maxsize=512)
def _searched_parts(parameter: Parameter) -> tuple[Part, ...]:
    """The components with their paths from all roots together."""
    roots = dict.fromkeys(path.type for path in paths(parameter.expression, parameter.resource_type))
    by_root = [parts(parameter, root) for root in roots]
    return tuple(
        replace(same[0], paths=tuple(path for part in same for path in part.paths))
        for same in zip(*by_root, strict=True)
    )


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for values with other than one part for each
    component."""
    if clause.modifier:
        raise bad_modifier(clause)
    wanted = _searched_parts(clause.parameter)
    tokens: list[int] = []
    conditions: list[str] = []
    for value in clause.values:
        texts = split(value, "$")
        if len(texts) != len(wanted) or not all(texts):
            names = "$".join(part.code for part in wanted)
            raise bad_value(clause, f"the value has the parts {names}; a $ inside of one is written \\$")
        try:
            first = _searched(wanted[0], texts[0])
            if wanted[1].kind in _AS_TOKENS:
                second = _searched(wanted[1], texts[1])
                prefix = f"{clause.parameter.param}:x:"
                tokens += (hasher.uncached(f"{prefix}{one}${two}") for one, two in product(first, second))
                continue
            if wanted[1].kind == "quantity":
                conditions += _quantity_conditions(clause.parameter.param, first, texts[1], sql, hasher)
                continue
            condition = _span_condition(wanted, texts, sql)
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
        hashes = [hasher.uncached(f"{clause.parameter.param}:x:{one}") for one in first]
        if hashes:
            conditions.append(f"(i.hash = ANY({sql.bind(hashes, 'bigint[]')}) AND {condition})")
    if wanted[1].kind in _AS_TOKENS:
        return token_variants.condition(tokens, sql)
    if not conditions:
        return Condition(row="false")
    return Condition(
        f"SELECT i.rid FROM idx_composite i WHERE i.tenant_id = {sql.tenant} AND ({' OR '.join(conditions)})"  # noqa: S608
    )


def _searched(part: Part, text: str) -> list[str]:
    if part.kind == "token":
        found = token_variants.searched(text, part.paths)
        if any(variant.startswith("s:") for variant in found):
            raise ValueError(f"{part.code} needs a code inside of a composite, not a system alone")
        return found
    value = unescape(text)
    if references.ID.fullmatch(value):
        return [f"r:{resource_type}/{value}" for resource_type in part.targets]
    return [f"r:{references.target(value)}"]


def _span_condition(wanted: tuple[Part, ...], texts: list[str], sql: SqlParameters) -> str:
    if len(wanted) == 3:
        return f"{_number(texts[1], sql, 'i.low', 'i.low')} AND {_number(texts[2], sql, 'i.high', 'i.high')}"
    kind, text = wanted[1].kind, texts[1]
    if kind == "string":
        folded = normalise(unescape(text))
        if not folded:
            raise ValueError("the string is empty; at least one character is needed")
        return starts_with(folded, sql, "i.value")
    if kind == "date":
        prefix, moment = split_prefix(text)
        searched = date_ranges.searched(moment)
        return f"({date_ranges.comparison(prefix, searched, sql, 'i.low', 'i.high', 'float8')})"
    return _number(text, sql, "i.low", "i.high")


def _quantity_conditions(param: int, first: list[str], text: str, sql: SqlParameters, hasher: Hasher) -> list[str]:
    """One condition for each variant of the first component."""
    searched = units.searched(text)
    found = []
    for variant in first:
        name = f"{param}:x:{_without_system(variant)}" + (f"#{searched.base}" if searched.base else "")
        condition = f"i.hash = {sql.bind(hasher.uncached(name), 'bigint')}"
        condition += f" AND {_number(searched.number, sql, 'i.low', 'i.high', searched.scale)}"
        if searched.variant and not searched.base:
            condition += f" AND {_holds(searched.variant, sql, hasher)}"
        if variant.startswith("b:"):
            condition += f" AND {_holds(variant, sql, hasher)}"
        found.append(f"({condition})")
    return found


def _holds(variant: str, sql: SqlParameters, hasher: Hasher) -> str:
    return f"{sql.bind(str(hasher.uncached(variant)), 'text')} = ANY(string_to_array(i.value, ' '))"


def _number(text: str, sql: SqlParameters, low: str, high: str, scale: Scale = number_ranges.exact) -> str:
    prefix, number = split_prefix(text)
    searched, half = number_ranges.searched(number)
    return f"({number_ranges.comparison(prefix, searched, half, sql, low, high, scale)})"
