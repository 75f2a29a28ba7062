"""Which search parameters, modifiers and prefixes this server supports. https://hl7.org/fhir/R4/search.html#modifiers

One table that parse.py, compile.py, the CapabilityStatement and docs/search.md all read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search.condition import Condition
from fhir_server.search.query import SCORED, Clause
from fhir_server.search.registry import STANDARD, Parameter, Registry
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import (
    composite,
    date,
    near,
    number,
    quantity,
    reference,
    special,
    string,
    text,
    token,
    uri,
)
from fhir_server.search.values import PREFIXES as ALL_PREFIXES

Where = Callable[[Clause, SqlParameters, Hasher], Condition]

WHERE: dict[str, Where] = {
    "composite": composite.where,
    "date": date.where,
    "number": number.where,
    "quantity": quantity.where,
    "reference": reference.where,
    "special": near.where,
    "string": string.where,
    "token": token.where,
    "uri": uri.where,
}
"""The reading half of each parameter type that can be searched. https://hl7.org/fhir/R4/search.html#ptypes"""

MODIFIERS: dict[str, tuple[str, ...]] = {
    "reference": ("identifier",),
    "string": (*string.MODIFIERS, text.MODIFIER),
    "token": (*token.MODIFIERS, text.MODIFIER),
    "uri": uri.MODIFIERS,
}
"""The modifiers of each parameter type, beside :missing and, for references, the types they may refer to."""

PREFIXES: dict[str, tuple[str, ...]] = {"date": ALL_PREFIXES, "number": ALL_PREFIXES, "quantity": ALL_PREFIXES}
"""The prefixes of each parameter type that takes any. https://hl7.org/fhir/R4/search.html#prefix"""

WITHOUT_PREFIX = frozenset({"missing"})
"""Modifiers under which a value is true or false, whatever the parameter's type."""

_MOST_TYPES_LISTED = 20
_MOST_TARGETS = 5_000


def is_supported(parameter: Parameter) -> bool:
    """Whether searches may use the parameter."""
    return parameter.code in special.COLUMNS | SCORED or (parameter.type in WHERE and bool(parameter.expression))


@lru_cache(maxsize=2_048)
def searchable(resource_type: str, registry: Registry = STANDARD) -> tuple[Parameter, ...]:
    """The parameters of a resource type that searches may use, sorted by code."""
    known = registry.parameters(resource_type).values()
    return tuple(p for p in known if is_supported(p) and p.status == "active")


def modifiers(parameter: Parameter) -> tuple[str, ...]:
    """The modifiers that a parameter takes. https://hl7.org/fhir/R4/search.html#modifiers"""
    if parameter.code in special.COLUMNS | SCORED:
        return ()
    own = token.modifiers(parameter) if parameter.type == "token" else MODIFIERS.get(parameter.type, ())
    own = tuple(name for name in own if name != text.MODIFIER)
    common = (*own, *([text.MODIFIER] if text.has_text(parameter) else []), "missing")
    return (*common, *parameter.targets) if parameter.type == "reference" else common


def shown_modifiers(parameter: Parameter) -> tuple[str, ...]:
    """The modifiers as an error message lists them: ":[type]" for the targets where they are many."""
    found = modifiers(parameter)
    return found if len(found) <= _MOST_TYPES_LISTED else (*MODIFIERS["reference"], "missing", "[type]")


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What a clause is in SQL, for the parameters of `searchable`.

    Raises BadRequest for a value that cannot be searched.
    """
    if clause.modifier == "missing":
        return _missing(clause, sql)
    if clause.parameter.code in special.COLUMNS:
        return special.where(clause, sql, hasher)
    if clause.modifier == text.MODIFIER or clause.parameter.code in SCORED:
        return text.where(clause, sql, hasher)
    if clause.parameter.type == "reference":
        _check_targets(clause)
    return WHERE[clause.parameter.type](clause, sql, hasher)


def _check_targets(clause: Clause) -> None:
    """Refuse ids that may be of so many types that looking for all of them would cost too much."""
    types = 1 if clause.modifier else len(clause.parameter.targets) or len(definitions.load().type_ids)
    untyped = sum("/" not in value for value in clause.values)
    if untyped * types > _MOST_TARGETS:
        raise BadRequest(
            f"{clause.parameter.code}: {untyped} ids may each be of {types} types. Write them as Type/id, "
            f"or name the type: {clause.parameter.code}:Type=id.",
            code="too-costly",
        )


def _missing(clause: Clause, sql: SqlParameters) -> Condition:
    """Whether the row has no value for the parameter. https://hl7.org/fhir/R4/search.html#modifiers"""
    if any(value not in ("true", "false") for value in clause.values):
        raise BadRequest(f"{clause.text}: the value of :missing is either true or false.")
    present = f"{sql.bind(clause.parameter.param, 'int')} = ANY(r.params)"
    wanted = set(clause.values)
    if len(wanted) == 2:
        return Condition(row="true")
    return Condition(row=f"NOT ({present})" if "true" in wanted else present)


_CHECKING = Hasher(b"values are only checked here")


def check_values(clause: Clause) -> None:
    """Raise BadRequest, naming what would be right, for values that cannot be searched."""
    where(clause, SqlParameters(0), _CHECKING)
