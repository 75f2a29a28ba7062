"""Values of codes, identifiers and references read from stored JSON, to order resources by them.

The index holds such values as hashes, which have no order. https://www.postgresql.org/docs/current/functions-json.html
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

import json

from fhir_server.search.paths import (
    Child,
    Computed,
    First,
    IsTrue,
    OfType,
    Path,
    Step,
    Unsupported,
    WhereEquals,
    WhereType,
    paths,
)
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters
from fhir_server.search.text_forms import MAX_LENGTH

_INSIDE = {
    "CodeableConcept": ".coding[*].code",
    "Coding": ".code",
    "Identifier": ".value",
    "ContactPoint": ".value",
    "Reference": ".reference",
}


def extreme(parameter: Parameter, sql: SqlParameters, *, greatest: bool) -> str:
    """The SQL of the least or greatest value of a parameter in the row ``r``, as text in the "C" collation, or NULL.

    It is cut to as many characters as the index holds of a text: a cursor must hold it.
    """
    parts = [part for path in paths(parameter.expression, parameter.resource_type) if (part := _values(path, sql))]
    if not parts:
        return "NULL::text"
    which = "max" if greatest else "min"
    return f'left((SELECT {which}(o.v COLLATE "C") FROM ({" UNION ALL ".join(parts)}) o), {MAX_LENGTH})'


def _values(path: Path, sql: SqlParameters) -> str:
    """A SELECT of the values at a path; "" for what is no value to sort by."""
    steps = list(path.steps)
    column = "r.body"
    if steps and isinstance(steps[0], Child) and steps[0].name == "meta":
        column, steps = "r.meta", steps[1:]
    if path.type[0].isupper() and path.type not in _INSIDE:
        return ""
    bound = sql.bind("$" + "".join(_step(step) for step in steps) + _INSIDE.get(path.type, ""), "jsonpath")
    if steps and isinstance(steps[-1], IsTrue):
        return f"SELECT CASE WHEN jsonb_path_exists({column}, {bound}) THEN 'true' ELSE 'false' END AS v"
    return f"SELECT jsonb_path_query({column}, {bound}) #>> '{{}}' AS v"


def is_readable(parameter: Parameter) -> bool:
    """Whether all values of a parameter stand at paths that SQL can follow."""
    try:
        found = paths(parameter.expression, parameter.resource_type)
    except Unsupported:
        return False
    return bool(found) and not any(isinstance(step, Computed | OfType) for path in found for step in path.steps)


def _step(step: Step) -> str:
    match step:
        case Child(name=name, many=many):
            return f'."{name}"' + ("[*]" if many else "")
        case First(name=name):
            return f'."{name}"[0]'
        case WhereEquals(name=name, value=value):
            return f' ? (@."{name}" == {json.dumps(value)})'
        case WhereType(type=name):
            return f' ? (@.reference like_regex "(^|/){name}/" || @.type == "{name}")'
        case IsTrue(names=names):
            # What is no boolean cannot be compared with one, so that false is looked for rather than its absence.
            truths = (f'(exists (@."{name}") && !exists (@."{name}" ? (@ == false)))' for name in names)
            return f" ? ({' || '.join(truths)})"
    raise ValueError(f"{step} cannot be followed in SQL")
