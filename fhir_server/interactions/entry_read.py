"""Bundle.entry as JSON made into requests, or refused with the place where it stands. https://hl7.org/fhir/R4/bundle.html"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from fhir_server.errors import BadRequest, FhirError, MethodNotAllowed, NotFound
from fhir_server.interactions.context import NO_CONDITIONS, Conditions
from fhir_server.interactions.entry import METHODS, Entry
from fhir_server.interactions.entry_problems import Problems
from fhir_server.r4 import definitions
from fhir_server.r4.instants import interval
from fhir_server.r4.references import ID

_TYPES = frozenset(definitions.load().type_ids)
_BUNDLE = frozenset(definitions.load().types["Bundle"].elements) | {"resourceType", "_type", "_timestamp", "_language"}
_ENTRY = frozenset(definitions.load().types["Bundle.entry"].elements) | {"_fullUrl"}
_REQUEST = frozenset(definitions.load().types["Bundle.entry.request"].elements)
_STRINGS = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
_ETAG = re.compile(r'(?:W/)?"?([^"\s]{1,64})"?')


def read_all(bundle: dict[str, Any], base_url: str, problems: Problems) -> list[Entry]:
    """The entries of a batch or transaction; those that cannot be understood are noted as problems instead.

    Raises BadRequest where the bundle itself is not in order. https://hl7.org/fhir/R4/bundle.html
    """
    unknown = sorted(set(bundle) - _BUNDLE)
    if unknown:
        raise BadRequest(f"A Bundle has no element {unknown[0][:60]!r}.", code="structure", expression="Bundle")
    items = bundle.get("entry", [])
    if not isinstance(items, list) or ("entry" in bundle and not items):
        raise BadRequest(
            "Bundle.entry must be an array of entries, or absent.", code="structure", expression="Bundle.entry"
        )
    entries = []
    for index, item in enumerate(items):
        try:
            entries.append(_read(index, item, base_url))
        except FhirError as error:
            problems.add_located(index, error)
    return entries


def _read(index: int, item: Any, base_url: str) -> Entry:
    where = f"Bundle.entry[{index}]"
    _object(item, _ENTRY, where)
    request = item.get("request")
    if request is None:
        raise BadRequest("An entry of a batch or transaction needs a request.", code="required", expression=where)
    _object(request, _REQUEST, where + ".request")
    method, url, full_url = request.get("method"), request.get("url"), item.get("fullUrl", "")
    if method not in METHODS:
        raise BadRequest(
            f"request.method must be one of {', '.join(METHODS)}.", code="value", expression=where + ".request.method"
        )
    if not isinstance(url, str) or not url:
        raise BadRequest(
            "request.url must be a URL relative to the base.", code="required", expression=where + ".request.url"
        )
    if not isinstance(full_url, str):
        raise BadRequest("fullUrl must be a string.", code="structure", expression=where + ".fullUrl")
    path, question, query = url.removeprefix(base_url + "/").partition("?")
    conditions = _conditions(request, where + ".request") if len(request) > 2 else NO_CONDITIONS
    resource = item.get("resource")
    route = _route(method, path, bool(question), where + ".request.url")
    entry = Entry(
        index,
        full_url,
        method,
        route.interaction,
        route.resource_type,
        route.id,
        route.version,
        query if question else None,
        resource,
        conditions,
        route.owner,
    )
    _check_body(entry)
    return entry


def _object(value: Any, known: frozenset[str], where: str) -> None:
    if not isinstance(value, dict):
        raise BadRequest("This must be a JSON object.", code="structure", expression=where)
    if not known.issuperset(value):
        unknown = sorted(set(value) - known)[0]
        raise BadRequest(f"There is no element {unknown[:60]!r} here.", code="structure", expression=where)


def _check_body(entry: Entry) -> None:
    if entry.method in ("POST", "PUT", "PATCH"):
        if not isinstance(entry.resource, dict):
            raise BadRequest(
                f"An entry with the method {entry.method} needs a resource.",
                code="required",
                expression=entry.location + ".resource",
            )
        found = entry.resource.get("resourceType")
        if entry.method != "PATCH" and found != entry.resource_type:
            came = f"a {found[:60]}" if isinstance(found, str) else "no resourceType"
            raise BadRequest(
                f"request.url is for {entry.resource_type}, but the resource has {came}.",
                expression=entry.location + ".resource",
            )
        claimed = entry.resource.get("id")
        if entry.method == "PUT" and entry.id and claimed != entry.id:
            came = "no id" if claimed is None else "another one"
            raise BadRequest(
                f"The resource must have the id of request.url, {entry.id}; it has {came}.",
                expression=entry.location + ".resource.id",
            )
    elif entry.resource is not None:
        raise BadRequest(
            f"An entry with the method {entry.method} has no resource.",
            code="structure",
            expression=entry.location + ".resource",
        )


class Route(NamedTuple):
    """What the URL of an entry asks for. ``owner`` is the resource whose compartment is searched: "Patient/123"."""

    interaction: str
    resource_type: str = ""
    id: str = ""
    version: str = ""
    owner: str = ""


_INSTANCE = {"GET": "read", "HEAD": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_TYPE = {
    "GET": "search-type",
    "HEAD": "search-type",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def _route(method: str, path: str, has_query: bool, where: str) -> Route:
    """Raises BadRequest, NotFound, MethodNotAllowed."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    first = parts[0]
    if first == "_history" and len(parts) == 1:
        return _read_only(method, "history-system", where)
    if not path and has_query:
        return _read_only(method, "search-system", where)
    if first not in _TYPES:
        raise _unroutable(path, where)
    if len(parts) == 1:
        if method in ("PUT", "PATCH", "DELETE") and not has_query:
            raise BadRequest(
                f"{method} needs an id or criteria in the URL: {first}/123 or {first}?identifier=...", expression=where
            )
        return Route(_TYPE[method], first)
    if parts[1:] == ["_history"]:
        return _read_only(method, "history-type", where, first)
    if not ID.fullmatch(parts[1]):
        raise _unroutable(path, where)
    if len(parts) == 2:
        if method == "POST":
            raise MethodNotAllowed(f"POST goes to {first}, without an id; PUT writes to an id.", expression=where)
        return Route(_INSTANCE[method], first, parts[1])
    if parts[2] == "_history" and len(parts) == 3:
        return _read_only(method, "history-instance", where, first, parts[1])
    if parts[2] == "_history" and len(parts) == 4 and ID.fullmatch(parts[3]):
        return _read_only(method, "vread", where, first, parts[1], parts[3])
    if len(parts) == 3 and (parts[2] in _TYPES or parts[2] == "*"):
        found = _read_only(method, "search-system" if parts[2] == "*" else "search-type", where)
        return found._replace(resource_type=parts[2].removeprefix("*"), owner=f"{first}/{parts[1]}")
    raise _unroutable(path, where)


def _read_only(method: str, interaction: str, where: str, *rest: str) -> Route:
    if method not in ("GET", "HEAD"):
        what = "a search of several types or of a compartment" if interaction.startswith("search") else "a history"
        raise MethodNotAllowed(f"{method} is not possible on {what}.", expression=where)
    return Route(interaction, *rest)


def _unroutable(path: str, where: str) -> FhirError:
    if "$" in path or path.endswith("_search"):
        return BadRequest(
            "Operations and _search are not possible within a Bundle.", code="not-supported", expression=where
        )
    if "://" in path:
        return BadRequest("request.url must be relative to the base of this server.", expression=where)
    return NotFound(f"{path[:80]!r} is no FHIR URL of this server.", expression=where)


def _conditions(request: dict[str, Any], where: str) -> Conditions:
    for name in _STRINGS:
        if not isinstance(request.get(name, ""), str):
            raise BadRequest(f"{name} must be a string.", code="structure", expression=f"{where}.{name}")
    since = request.get("ifModifiedSince")
    if since is not None:
        try:
            since = interval(since)[0] // 1_000_000
        except ValueError:
            raise BadRequest(
                "ifModifiedSince must be an instant.", code="value", expression=where + ".ifModifiedSince"
            ) from None
    if_none_exist = request.get("ifNoneExist")
    if if_none_exist is not None and request["method"] != "POST":
        raise BadRequest("ifNoneExist is for POST.", expression=where + ".ifNoneExist")
    return Conditions(_etag(request, "ifMatch", where), _etag(request, "ifNoneMatch", where), since, if_none_exist)


def _etag(request: dict[str, Any], name: str, where: str) -> str:
    text = request.get(name, "").strip()
    if not text:
        return ""
    found = _ETAG.fullmatch(text)
    if found is None:
        raise BadRequest(f'{name} must be one ETag such as W/"3".', expression=f"{where}.{name}")
    return found[1]
