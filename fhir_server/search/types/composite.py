"""Composite search: several values of one element at once. https://hl7.org/fhir/R4/search.html#composite

What is written depends on the second component, the first being a token in one of its variants (``s:system`` left
out) or a reference:

- token or reference: the token ``{param}:x:{variant}${variant}``;
- quantity, number, date or string: a row of idx_composite under ``{param}:x:{variant}`` with the range in ``low`` and
  ``high`` (dates in microseconds) and, in ``value``, the hashes of the quantity's units or the normalised string;
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
    span = _span(kind, type_name, values[1], hasher)
    if span is not None:
        rows.make_room(len(first))
        rows.composites += [(hasher(f"{param}:x:{one}"), *span) for one in first]


def _variants(kind: str, type_name: str, value: Any) -> list[str]:
    if kind == "reference":
        target = references.target(value.get("reference", ""))
        return [f"r:{target}"] if target else []
    if type_name != "CodeableConcept":
        return [variant for variant in token_variants.written(type_name, value) if not variant.startswith("s:")]
    # The same without the system alone; nearly every composite starts like this.
    found: list[str] = []
    for coding in value.get("coding", ()):
        code = coding.get("code")
        if code is not None:
            found += (f"c:{code}", f"b:{coding.get('system', '')}|{code}")
    return found


def _span(kind: str, type_name: str, value: Any, hasher: Hasher) -> tuple[float, float, str] | None:
    if kind == "string":
        return 0.0, 0.0, normalise(value)
    if kind == "date":
        start, end = instants.period(value) if type_name == "Period" else instants.interval(value)
        return float(start), float(end), ""
    if kind == "number":
        point = number_ranges.exact(value)
        return point, point, ""
    found = units.written(type_name, value, hasher)
    if found is None:
        return None
    (low, high), hashes = found
    return low, high, units.as_text(hashes)


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
            condition = _span_condition(wanted, texts, sql, hasher)
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


def _span_condition(wanted: tuple[Part, ...], texts: list[str], sql: SqlParameters, hasher: Hasher) -> str:
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
    number, unit = units.searched(text)
    condition = _number(number, sql, "i.low", "i.high")
    if unit:
        hashed = str(hasher.uncached(unit))
        condition += f" AND {sql.bind(hashed, 'text')} = ANY(string_to_array(i.value, ' '))"
    return condition


def _number(text: str, sql: SqlParameters, low: str, high: str) -> str:
    prefix, number = split_prefix(text)
    searched, half = number_ranges.searched(number)
    return f"({number_ranges.comparison(prefix, searched, half, sql, low, high)})"
