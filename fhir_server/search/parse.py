"""The query string, or the form of a POST _search, as a SearchQuery. https://hl7.org/fhir/R4/search.html#Introduction

Strict: whatever is not understood is refused with 400 and the nearest valid names. Under ``Prefer: handling=lenient``
it is left out instead, and listed in ``SearchQuery.ignored``. What is understood and cannot be done is refused in both
cases: leaving it out would change what the search means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_server.errors import BadRequest
from fhir_server.search import parse_include, result_parameters
from fhir_server.search.parse_contained import contained_selections
from fhir_server.search.parse_filter import FilterParser, split
from fhir_server.search.query import Filter, Include, SearchQuery, Selection
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.result_parameters import Ignorable
from fhir_server.search.suggest import shown

__all__ = ["DEFAULT_LIMITS", "Limits", "parse", "parse_types", "split"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one search may ask for. Lengths are characters after percent-decoding.

    ``max_readings`` counts what all filters together are on all types: each parameter of each type searched, each step
    of a chain for each type that it may lead to.
    """

    default_count: int = 20
    max_count: int = 1000
    max_parameters: int = 100
    max_values: int = 1000
    max_length: int = 16_000
    max_included: int = 1000
    max_includes: int = 50
    max_readings: int = 2000


DEFAULT_LIMITS = Limits()


def parse(
    resource_type: str,
    pairs: Iterable[tuple[str, str]],
    *,
    lenient: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    registry: Registry = STANDARD,
) -> SearchQuery:
    """Parse the (name, value) pairs of a search on one resource type. https://hl7.org/fhir/R4/search.html

    ``pairs`` are percent-decoded, in the order they were sent, those of the URL before those of the form. Repeated
    parameters are all to hold (AND); the values of one are alternatives (OR).

    Raises BadRequest, naming the parameter, what was wrong with it, and what would be right.
    """
    return parse_types((resource_type,), pairs, lenient=lenient, limits=limits, registry=registry)


def parse_types(
    resource_types: Sequence[str],
    pairs: Iterable[tuple[str, str]],
    *,
    lenient: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    registry: Registry = STANDARD,
    types: str = "",
) -> SearchQuery:
    """Parse a search on several resource types, by parameters that all of them have.

    https://hl7.org/fhir/R4/search.html#searching ``types`` is the value of ``_type``, which is not among ``pairs``.
    Raises BadRequest as `parse` does.
    """
    results = result_parameters.ResultParameters(resource_types, limits.default_count, limits.max_count, registry)
    parser = FilterParser(registry, check_values=lenient)
    found: list[tuple[Filter, ...]] = []
    includes: list[Include] = []
    ignored: list[str] = []
    readings = 0
    for name, value in _within_limits(pairs, limits):
        try:
            if results.read(name, value):
                continue
            if parse_include.is_include(name):
                includes += parse_include.parse_include(resource_types, name, value, registry)
                _check_includes(includes, limits)
                continue
            before = parser.values
            alike = []
            for resource_type in resource_types:
                parser.values = before
                readings += parser.readings
                parser.readings = 0
                _check_readings(readings, limits)
                alike.append(parser.parse(resource_type, name, value))
            found.append(tuple(alike))
        except Ignorable as refused:
            if not lenient:
                raise BadRequest(str(refused), code=refused.issue_type) from None
            ignored.append(str(refused))
            continue
        if parser.values > limits.max_values:
            raise BadRequest(
                f"The search has more than {limits.max_values} values; split it into several.", code="too-costly"
            )
    _check_readings(readings + parser.readings, limits)
    selections = tuple(
        Selection(resource_type, tuple(alike[number] for alike in found), results.sort(resource_type))
        for number, resource_type in enumerate(resource_types)
    )
    if results.contained != "false":
        selections = contained_selections(selections, results.contained)
    return results.query(selections, tuple(dict.fromkeys(includes)), tuple(ignored), types)


def _check_readings(readings: int, limits: Limits) -> None:
    if readings > limits.max_readings:
        raise BadRequest(
            "The search has too many conditions on too many types of resources: name fewer types in _type, the type at "
            "each step of a chain (subject:Patient.name), or use fewer parameters.",
            code="too-costly",
        )


def _check_includes(includes: Sequence[Include], limits: Limits) -> None:
    # A wildcard is an Include for each type searched.
    if len({one.text for one in includes}) > limits.max_includes:
        raise BadRequest(
            f"The search has more than {limits.max_includes} _include and _revinclude; Observation:* follows all "
            "references of a type.",
            code="too-costly",
        )


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
