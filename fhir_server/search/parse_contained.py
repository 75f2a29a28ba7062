"""``_contained``: what a search on contained resources may ask for. https://hl7.org/fhir/R4/search.html#contained"""

from __future__ import annotations

from fhir_server.errors import BadRequest
from fhir_server.search.query import SCORED, Chain, Clause, Contained, Filter, Selection
from fhir_server.search.registry import parameter
from fhir_server.search.suggest import shown

_OF_CONTAINER = frozenset({"_id", "_lastUpdated"})
"""What the resource that contains another one can be sorted by, whatever its type."""


def contained_selections(selections: tuple[Selection, ...], wanted: str) -> tuple[Selection, ...]:
    """The selections of a search with ``_contained``, which is "true" or "both".

    Raises BadRequest for what contained resources cannot be searched by.
    """
    if len(selections) != 1:
        raise BadRequest("_contained is supported for searches on one resource type.", code="not-supported")
    (plain,) = selections
    for key in plain.sort:
        if key.parameter.code not in _OF_CONTAINER:
            raise BadRequest(
                f"With _contained results can be sorted by _id and _lastUpdated, not by {shown(key.parameter.code)}.",
                code="not-supported",
            )
    # When a resource was written is said of the one that contains it: contained ones have no life of their own.
    outside = tuple(one for one in plain.filters if _is_last_updated(one))
    inside = tuple(one for one in plain.filters if not _is_last_updated(one))
    for one in inside:
        _check(plain.resource_type, one)
    within = Selection(plain.resource_type, (Contained(plain.resource_type, inside), *outside), plain.sort, True)
    return (within,) if wanted == "true" else (plain, within)


def _is_last_updated(found: Filter) -> bool:
    return isinstance(found, Clause) and found.parameter.code == "_lastUpdated"


def _check(resource_type: str, found: Filter) -> None:
    if isinstance(found, Clause | Chain):
        code = found.parameter.code
        plain = not isinstance(found, Clause) or found.modifier != "text"
        if code != "_id" and code not in SCORED and plain and parameter(resource_type, code) == found.parameter:
            return
    raise BadRequest(
        f"Contained resources cannot be searched by {shown(found.text.partition('=')[0])}; they can by the parameters "
        "that FHIR defines for their type, and by chains that begin with those.",
        code="not-supported",
    )
