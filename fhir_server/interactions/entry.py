"""One entry of a batch or transaction, read as the request that it stands for. https://hl7.org/fhir/R4/bundle.html#request"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from fhir_server.access.policy import LETTERS, decide
from fhir_server.errors import BadRequest, FhirError, Forbidden, MethodNotAllowed, NotFound
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context
from fhir_server.r4 import definitions
from fhir_server.r4.instants import interval
from fhir_server.r4.references import ID

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
"""The order in which entries are processed, whatever their order in the bundle. https://hl7.org/fhir/R4/http.html#trules"""

_TYPES = frozenset(definitions.load().type_ids)
_BUNDLE = frozenset(definitions.load().types["Bundle"].elements) | {"resourceType", "_type", "_timestamp", "_language"}
_ENTRY = frozenset(definitions.load().types["Bundle.entry"].elements) | {"_fullUrl"}
_REQUEST = frozenset(definitions.load().types["Bundle.entry.request"].elements)
_STRINGS = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
_ETAG = re.compile(r'(?:W/)?"?([^"\s]{1,64})"?')


@dataclass(slots=True, eq=False)
class Entry:
    """What an entry asks for. ``index`` counts from 0.

    ``interaction`` is a key of access.policy.LETTERS; ``resource_type`` and ``id`` are "" where the URL has none;
    ``query`` is what follows the "?" (None without one): criteria, or parameters. ``resource`` is the body.
    """

    index: int
    full_url: str
    method: str
    interaction: str
    resource_type: str
    id: str
    version: str
    query: str | None
    resource: Any
    conditions: Conditions

    @property
    def location(self) -> str:
        """Where the entry stands, as FHIRPath."""
        return f"Bundle.entry[{self.index}]"

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the URL, percent-decoded. Raises BadRequest."""
        try:
            return parse_qsl(self.query or "", keep_blank_values=True, errors="strict", max_num_fields=1000)
        except ValueError:
            raise BadRequest("The query of the URL is not percent-encoded UTF-8, or too long.") from None


class Problems:
    """The errors of all entries, so that a client hears of them at once."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[tuple[int, FhirError]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[tuple[int, FhirError]]:
        """Each error with the index of its entry."""
        return iter(self._found)

    def add(self, entry: Entry, error: FhirError) -> None:
        """Note an error of an entry; its issues are located in the bundle."""
        self._found.append((entry.index, located(entry, error)))

    def add_raw(self, index: int, error: FhirError) -> None:
        """Note an error that says itself where it is."""
        self._found.append((index, error))

    def raise_all(self) -> None:
        """Raise an error of the first failing entry's class with every issue; nothing where there is none."""
        if self._found:
            self._found.sort(key=lambda found: found[0])
            first = self._found[0][1]
            raise type(first)(issues=[i for _, error in self._found for i in error.issues], headers=first.headers)


def located(entry: Entry, error: FhirError) -> FhirError:
    """The same error, its issues located in the bundle: "Patient.name" is "Bundle.entry[2].resource.name"."""
    issues = [replace(issue, expression=_located(entry, issue.expression)) for issue in error.issues]
    return type(error)(issues=issues, headers=error.headers)


def _located(entry: Entry, expression: str) -> str:
    if not expression:
        return entry.location
    if expression.startswith(entry.location + "."):
        return expression
    root, dot, rest = expression.partition(".")
    name, bracket, index = root.partition("[")
    body = entry.resource.get("resourceType") if isinstance(entry.resource, dict) else None
    if name in (body, entry.resource_type):
        return f"{entry.location}.resource{bracket}{index}{dot}{rest}"
    return f"{entry.location}.resource.{expression}"


def decided(ctx: Context, entry: Entry) -> Context:
    """The context for the entry's own interaction, decided like any request. Raises Forbidden."""
    access = decide(ctx.principal, entry.interaction, entry.resource_type or None)
    if access.nothing:
        what = f"{entry.interaction} on {entry.resource_type}" if entry.resource_type else entry.interaction
        scope = f"system/{entry.resource_type or '*'}.{LETTERS[entry.interaction]}"
        raise Forbidden(
            f"The access_token does not permit {what}; the scope {scope} would.", expression=entry.location + ".request"
        )
    return ctx.within(ctx.store, access)


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
            problems.add_raw(index, error)
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
    interaction, resource_type, resource_id, version = _route(method, path, bool(question), where + ".request.url")
    entry = Entry(
        index,
        full_url,
        method,
        interaction,
        resource_type,
        resource_id,
        version,
        query if question else None,
        resource,
        conditions,
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


Route = tuple[str, str, str, str]

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
    """(interaction, resource type, id, version). Raises BadRequest, NotFound, MethodNotAllowed."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    first = parts[0]
    if first == "_history" and len(parts) == 1:
        return _read_only(method, "history-system", where)
    if first not in _TYPES:
        raise _unroutable(path, where)
    if len(parts) == 1:
        if method in ("PUT", "PATCH", "DELETE") and not has_query:
            raise BadRequest(
                f"{method} needs an id or criteria in the URL: {first}/123 or {first}?identifier=...", expression=where
            )
        return _TYPE[method], first, "", ""
    if parts[1:] == ["_history"]:
        return _read_only(method, "history-type", where, first)
    if not ID.fullmatch(parts[1]):
        raise _unroutable(path, where)
    if len(parts) == 2:
        if method == "POST":
            raise MethodNotAllowed(f"POST goes to {first}, without an id; PUT writes to an id.", expression=where)
        return _INSTANCE[method], first, parts[1], ""
    if parts[2] == "_history" and len(parts) == 3:
        return _read_only(method, "history-instance", where, first, parts[1])
    if parts[2] == "_history" and len(parts) == 4 and ID.fullmatch(parts[3]):
        return _read_only(method, "vread", where, first, parts[1], parts[3])
    raise _unroutable(path, where)


def _read_only(method: str, interaction: str, where: str, *rest: str) -> Route:
    if method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{method} is not possible on a history.", expression=where)
    resource_type, resource_id, version = (*rest, "", "", "")[:3]
    return interaction, resource_type, resource_id, version


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
