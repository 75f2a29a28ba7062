"""The query string, or the form of a POST _search, as a SearchQuery. https://hl7.org/fhir/R4/search.html#Introduction

Strict: whatever is not understood is refused with 400 and the nearest valid names. Under ``Prefer: handling=lenient``
it is left out instead, and listed in ``SearchQuery.ignored``. What would change the meaning of the search (chains,
_has, _include) and cannot be done is refused in both cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_server.errors import BadRequest
from fhir_server.search import result_parameters, support
from fhir_server.search.query import Clause, SearchQuery
from fhir_server.search.registry import Parameter, parameters
from fhir_server.search.suggest import nearest, refusal, shown


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one search may ask for. Lengths are characters after percent-decoding."""

    default_count: int = 20
    max_count: int = 1000
    max_parameters: int = 100
    max_values: int = 1000
    max_length: int = 16_000


DEFAULT_LIMITS = Limits()


def parse(
    resource_type: str, pairs: Iterable[tuple[str, str]], *, lenient: bool = False, limits: Limits = DEFAULT_LIMITS
) -> SearchQuery:
    """Parse the (name, value) pairs of a search on one resource type. https://hl7.org/fhir/R4/search.html

    ``pairs`` are percent-decoded, in the order they were sent, those of the URL before those of the form. Repeated
    parameters are all to hold (AND); the values of one are alternatives (OR).

    Raises BadRequest, naming the parameter, what was wrong with it, and what would be right.
    """
    accepted = _within_limits(pairs, limits)
    results = result_parameters.ResultParameters(resource_type, limits.default_count, limits.max_count)
    clauses: list[Clause] = []
    ignored: list[str] = []
    values = 0
    for name, value in accepted:
        try:
            if results.read(name, value):
                continue
            clause = _clause(resource_type, name, value, check_values=lenient)
        except Ignorable as refused:
            if not lenient:
                raise BadRequest(str(refused), code=refused.issue_type) from None
            ignored.append(str(refused))
            continue
        values += len(clause.values)
        if values > limits.max_values:
            raise BadRequest(
                f"The search has more than {limits.max_values} values; split it into several.", code="too-costly"
            )
        clauses.append(clause)
    return results.query(tuple(clauses), tuple(ignored))


Ignorable = result_parameters.Ignorable


def _within_limits(pairs: Iterable[tuple[str, str]], limits: Limits) -> list[tuple[str, str]]:
    accepted: list[tuple[str, str]] = []
    length = 0
    for name, value in pairs:
        length += len(name) + len(value)
        if length > limits.max_length:
            raise BadRequest(f"The search is longer than {limits.max_length} characters; split it.", code="too-long")
        if len(accepted) == limits.max_parameters:
            raise BadRequest(f"The search has more than {limits.max_parameters} parameters.", code="too-costly")
        _check_text(name, value)
        accepted.append((name, value))
    return accepted


def _check_text(name: str, value: str) -> None:
    """Refuse what is no text: PostgreSQL stores no NUL, and a lone surrogate has no UTF-8."""
    text = name + value
    if "\0" in text:
        raise BadRequest(f"The parameter {shown(name)} holds the character U+0000, which no FHIR string can.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"The parameter {shown(name)} is not UTF-8.") from None


def _clause(resource_type: str, name: str, value: str, *, check_values: bool) -> Clause:
    code, _, modifier = name.partition(":")
    parameter = _parameter(resource_type, code, name)
    _check_modifier(parameter, modifier, name)
    values = tuple(split(value))
    if not all(values):
        raise Ignorable(
            f"The parameter {shown(name)} has an empty value: leave it out, "
            f"or write {shown(code + ':missing=true')} to find resources that have none."
        )
    if modifier not in support.WITHOUT_PREFIX:
        for one in values:
            _check_prefix(parameter, one, name)
    clause = Clause(parameter, modifier, values, f"{name}={value}")
    if check_values:
        # Without leniency the compiler finds the same, and refuses it there.
        try:
            support.check_values(clause)
        except BadRequest as refused:
            raise Ignorable(str(refused), refused.issues[0].code) from None
    return clause


def _parameter(resource_type: str, code: str, name: str) -> Parameter:
    _refuse_joins(resource_type, code, name)
    known = parameters(resource_type)
    parameter = known.get(code)
    if parameter is None:
        valid = [p.code for p in support.searchable(resource_type)]
        close = nearest(code, [*valid, *result_parameters.NAMES])
        if close and close[0] in result_parameters.NAMES:
            raise Ignorable(f"Unknown parameter {shown(name)}. Did you mean {close[0]!r}?", "not-supported")
        raise Ignorable(
            f"Unknown parameter {shown(name)}.{refusal(f'search parameters of {resource_type}', code, valid)}",
            "not-supported",
        )
    if not support.is_supported(parameter):
        raise BadRequest(
            f"The search parameter {shown(code)} of {resource_type} is not supported by this server.",
            code="not-supported",
        )
    return parameter


_JOINS = {
    "_include": "Including referenced resources (_include)",
    "_revinclude": "Including referring resources (_revinclude)",
    "_has": "Reverse chaining (_has)",
    "_filter": "The filter language (_filter)",
    "_list": "Searching within a List (_list)",
    "_type": "Searching several resource types (_type)",
}


def _refuse_joins(resource_type: str, code: str, name: str) -> None:
    if code in _JOINS:
        raise BadRequest(
            f"{_JOINS[code]} is not supported by this server, so nothing was searched.", code="not-supported"
        )
    first = code.partition(".")[0] if "." in code else code
    if "." not in name or first not in parameters(resource_type):
        return
    raise BadRequest(
        f"Chained search parameters are not supported by this server, so {shown(name)} was not searched. "
        f"Search the referred resources first, then {shown(first)} by their ids.",
        code="not-supported",
    )


def _check_modifier(parameter: Parameter, modifier: str, name: str) -> None:
    if not modifier and not name.endswith(":"):
        return
    valid = support.modifiers(parameter)
    if modifier in valid:
        return
    what = f"modifiers of {parameter.code} ({parameter.type})"
    raise Ignorable(
        f"Unknown modifier {shown(':' + modifier)} in {shown(name)}."
        + refusal(what, modifier, valid, support.shown_modifiers(parameter)),
        "not-supported",
    )


def _check_prefix(parameter: Parameter, value: str, name: str) -> None:
    valid = support.PREFIXES.get(parameter.type)
    if valid is None:
        return
    prefix = value[: len(value) - len(value.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
    if prefix and prefix not in valid and prefix != value:
        what = f"prefixes of {parameter.code} ({parameter.type})"
        raise Ignorable(
            f"Unknown prefix {shown(prefix)} in {shown(name + '=' + value)}.{refusal(what, prefix, valid)}",
            "not-supported",
        )


def split(value: str) -> list[str]:
    r"""Split at commas that no backslash escapes. https://hl7.org/fhir/R4/search.html#escaping

    ``\,`` becomes a comma; ``\|``, ``\$`` and ``\\`` stay as they are, for the type of the parameter to undo.
    """
    if "\\" not in value:
        return value.split(",")
    parts, part, escaped = [], [], False
    for character in value:
        if escaped:
            part.append(character if character == "," else "\\" + character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append("".join(part))
            part = []
        else:
            part.append(character)
    if escaped:
        part.append("\\")
    parts.append("".join(part))
    return parts
