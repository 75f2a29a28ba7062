"""The parameters that say how results are returned, not which. https://hl7.org/fhir/R4/search.html#return"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search import order
from fhir_server.search.query import Include, SearchQuery, Selection, SortKey, is_scored
from fhir_server.search.registry import SCORE, STANDARD, Registry, score
from fhir_server.search.suggest import refusal, shown

TOTALS = ("none", "estimate", "accurate")
CONTAINED = ("false", "true", "both")
SUMMARIES = ("true", "text", "data", "count", "false")
NAMES = ("_count", "_sort", "_total", "_summary", "_elements", "_contained", "_containedType", "_format", "_pretty")

MOST_SORT_KEYS = 10
"""How many keys ``_sort`` takes; a cursor holds the value of each."""


class Ignorable(Exception):
    """A parameter that strict handling refuses and lenient handling leaves out; the message is for the client."""

    def __init__(self, diagnostics: str, issue_type: str = "invalid") -> None:
        super().__init__(diagnostics)
        self.issue_type = issue_type


class ResultParameters:
    """Gathers the result parameters of one search. https://hl7.org/fhir/R4/search.html#return"""

    def __init__(
        self, resource_types: Sequence[str], default_count: int, max_count: int, registry: Registry = STANDARD
    ) -> None:
        self._resource_types = tuple(resource_types)
        self._registry = registry
        self._max_count = max_count
        self._written: dict[str, str] = {}
        self._count = default_count
        self._sort: tuple[tuple[str, bool], ...] = ()
        self._total = "none"
        self._summary = ""
        self._elements: tuple[str, ...] = ()
        self.contained = "false"

    def read(self, name: str, value: str) -> bool:
        """Take the parameter; False when it is not one of these.

        Raises Ignorable for a value that cannot be used, BadRequest for a repetition that contradicts itself.
        """
        reader = self._READERS.get(name)
        if reader is None:
            code, colon, modifier = name.partition(":")
            if colon and code in self._READERS:
                raise Ignorable(f"{code} takes no modifier, so {shown(':' + modifier)} is unknown.", "not-supported")
            if name == "_cursor":
                raise BadRequest("A _cursor stands alone: follow the next link as it was given, without changes.")
            return False
        if self._written.setdefault(name, value) != value:
            raise BadRequest(f"{name} is given twice, as {shown(self._written[name])} and as {shown(value)}.")
        reader(self, value)
        return True

    def sort(self, resource_type: str) -> tuple[SortKey, ...]:
        """The order of the results of one of the types."""
        known = self._registry.parameters(resource_type)
        return tuple(
            SortKey(score(resource_type) if code == SCORE else known[code], descending)
            for code, descending in self._sort
        )

    def query(
        self,
        selections: tuple[Selection, ...],
        includes: tuple[Include, ...],
        ignored: tuple[str, ...],
        types: str = "",
    ) -> SearchQuery:
        """The search with these result parameters.

        Raises BadRequest where _summary and _elements are both to cut the resources down, or _summary=text is to leave
        out what _include adds.
        """
        if self._elements and self._summary not in ("", "false", "count"):
            raise BadRequest(f"_summary={self._summary} and _elements contradict each other: use one of them.")
        if SCORE in dict(self._sort) and not all(any(is_scored(one) for one in part.filters) for part in selections):
            raise BadRequest("_sort=_score needs a text to score: search by _text or _content as well.")
        if includes and self._summary == "text":
            raise BadRequest("_summary=text cannot be combined with _include or _revinclude.")
        return SearchQuery(
            selections,
            count=self._count,
            total=self._total,
            summary=self._summary,
            elements=self._elements,
            includes=includes,
            ignored=ignored,
            types=types,
            contained=self.contained,
        )

    def _read_count(self, value: str) -> None:
        if not (value.isascii() and value.isdigit()):
            raise Ignorable(f"_count={shown(value)} is no whole number; write the size of a page, such as _count=50.")
        # A number of more digits than this is above the maximum anyway.
        self._count = min(int(value[:9]), self._max_count)

    def _read_sort(self, value: str) -> None:
        keys: list[tuple[str, bool]] = []
        written = value.split(",")
        if len(written) > MOST_SORT_KEYS:
            raise BadRequest(f"_sort takes at most {MOST_SORT_KEYS} keys.", code="too-costly")
        for key in written:
            code, descending = key.removeprefix("-"), key.startswith("-")
            for resource_type in self._resource_types:
                self._check_sort(resource_type, key, code)
            if code not in [known for known, _ in keys]:
                keys.append((code, descending))
        self._sort = tuple(keys)

    def _check_sort(self, resource_type: str, key: str, code: str) -> None:
        known = self._registry.parameters(resource_type)
        parameter = known.get(code)
        if code == SCORE or (parameter is not None and parameter.status == "active" and order.is_sortable(parameter)):
            return
        if parameter is not None and parameter.status != "active":
            raise BadRequest(f"Cannot sort by {shown(key)} yet: {parameter.status}.", code="not-supported")
        sortable = [one.code for one in known.values() if order.is_sortable(one)]
        what = f"sort keys of {resource_type}, each with or without '-'"
        raise Ignorable(f"Cannot sort by {shown(key)} in _sort.{refusal(what, code, sortable)}", "not-supported")

    def _read_total(self, value: str) -> None:
        self._total = _one_of("_total", value, TOTALS)

    def _read_summary(self, value: str) -> None:
        self._summary = _one_of("_summary", value, SUMMARIES)

    def _read_elements(self, value: str) -> None:
        names = [name.strip() for name in value.split(",")]
        found = [name.partition(".")[2] if name.partition(".")[0] in self._resource_types else name for name in names]
        known = {name for one in self._resource_types for name in definitions.load().types[one].elements}
        for name in found:
            if name not in known:
                what = f"elements of {' and '.join(self._resource_types[:5])}"
                raise Ignorable(f"Unknown element {shown(name)} in _elements.{refusal(what, name, known)}")
        self._elements = tuple(dict.fromkeys(found))

    def _read_contained(self, value: str) -> None:
        self.contained = _one_of("_contained", value, CONTAINED)

    def _read_contained_type(self, value: str) -> None:
        if value == "contained":
            raise BadRequest(
                "_containedType=contained is not supported by this server: what contains the resources searched for is "
                "returned, contained resources and all.",
                code="not-supported",
            )
        _one_of("_containedType", value, ("container",))

    def _read_elsewhere(self, value: str) -> None:
        """_format and _pretty concern the answer's format, which is negotiated before the search."""

    _READERS: ClassVar[dict[str, Callable[[ResultParameters, str], None]]] = {
        "_count": _read_count,
        "_sort": _read_sort,
        "_total": _read_total,
        "_summary": _read_summary,
        "_elements": _read_elements,
        "_contained": _read_contained,
        "_containedType": _read_contained_type,
        "_format": _read_elsewhere,
        "_pretty": _read_elsewhere,
    }


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise Ignorable(f"Unknown value {shown(value)} of {name}.{refusal(f'values of {name}', value, valid)}")
    return value
