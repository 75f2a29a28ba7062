"""Every FHIR URL on one screen. https://hl7.org/fhir/R4/http.html#summary"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_server.errors import MethodNotAllowed, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.r4 import definitions
from fhir_server.r4.references import ID
from fhir_server.rest import handlers
from fhir_server.rest.request import Request
from fhir_server.search.suggest import nearest

Handler = Callable[[Context, Request, Sequence[str]], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """One URL below the base: its template, for logs and metrics, and its handler by HTTP method."""

    template: str
    methods: dict[str, Handler]


ROUTES = (
    Route("", {"POST": handlers.bundle, "GET": handlers.search_system}),
    Route("metadata", {"GET": handlers.capabilities}),
    Route("_history", {"GET": handlers.history_system}),
    Route("_search", {"POST": handlers.search_system_by_post, "GET": handlers.search_system}),
    Route("$operation", {"GET": handlers.operation, "POST": handlers.operation}),
    Route(
        "type",
        {
            "GET": handlers.search_type,
            "POST": handlers.create,
            "PUT": handlers.conditional_update,
            "PATCH": handlers.conditional_patch,
            "DELETE": handlers.conditional_delete,
        },
    ),
    Route("type/_search", {"POST": handlers.search_type_by_post, "GET": handlers.search_type}),
    Route("type/_history", {"GET": handlers.history_type}),
    Route("type/$operation", {"GET": handlers.operation, "POST": handlers.operation}),
    Route(
        "type/id",
        {"GET": handlers.read, "PUT": handlers.update, "PATCH": handlers.patch, "DELETE": handlers.delete},
    ),
    Route("type/id/type", {"GET": handlers.search_compartment}),
    Route("type/id/type/_search", {"POST": handlers.search_compartment_by_post, "GET": handlers.search_compartment}),
    Route("type/id/_history", {"GET": handlers.history_instance}),
    Route("type/id/_history/vid", {"GET": handlers.vread}),
    Route("type/id/$operation", {"GET": handlers.operation, "POST": handlers.operation}),
)
_BY_TEMPLATE = {route.template: route for route in ROUTES}
_TYPES = frozenset(definitions.load().type_ids)
_FIXED = frozenset(("metadata", "_history", "_search"))


def match(method: str, segments: Sequence[str]) -> tuple[Route, Handler]:
    """The route and the handler for a path below the base. HEAD is answered as GET without its body.

    Raises NotFound for a path that is none of FHIR's or names an unknown type, MethodNotAllowed with the Allow header.
    """
    route = _BY_TEMPLATE.get(_template(segments))
    if route is None:
        raise NotFound("This is no FHIR URL; [base]/metadata tells what there is.", code="not-supported")
    handler = route.methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        allowed = ", ".join([*route.methods, *(["HEAD"] if "GET" in route.methods else []), "OPTIONS"])
        raise MethodNotAllowed(f"{method} is not possible here; {allowed} are.", headers=[("Allow", allowed)])
    return route, handler


def _template(segments: Sequence[str]) -> str:
    if not segments:
        return ""
    first = segments[0]
    if first in _TYPES:
        kinds = ["type"]
    elif first in _FIXED:
        kinds = [first]
    elif first.startswith("$"):
        kinds = ["$operation"]
    else:
        hint = nearest(first, _TYPES)
        near = f"; did you mean {' or '.join(hint)}?" if hint else "."
        raise NotFound(f"{first[:64]!r} is no resource type of FHIR R4{near}", code="not-supported")
    for position, segment in enumerate(segments[1:], start=1):
        if segment in ("_history", "_search"):
            kinds.append(segment)
        elif segment.startswith("$"):
            kinds.append("$operation")
        elif position == 2 and (segment in _TYPES or segment == "*"):
            kinds.append("type")
        elif position == 1 and ID.fullmatch(segment):
            kinds.append("id")
        elif position == 3 and ID.fullmatch(segment):
            kinds.append("vid")
        else:
            return "?"
    return "/".join(kinds)
