"""The history interaction: the versions of a resource, of a type or of everything, newest first.

https://hl7.org/fhir/R4/http.html#history. Stored bodies are joined into the Bundle as PostgreSQL prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlencode

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions import past
from fhir_server.interactions.context import Context, Response
from fhir_server.r4 import json
from fhir_server.r4.instants import format_instant, interval
from fhir_server.search.cursor import Binding, Continuation, CursorSealer, Position
from fhir_server.search.suggest import refusal, shown
from fhir_server.store.history import Page, Scope, Version

DEFAULT_COUNT = 20
MAX_COUNT = 1000
NAMES = ("_count", "_since", "_at", "_sort", "_format", "_pretty")
"""https://hl7.org/fhir/R4/http.html#history; _list is not supported."""

_SORTS = ("-_lastUpdated",)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for. ``after`` is where the page before ended; ``total`` what it counted."""

    count: int = DEFAULT_COUNT
    since: int | None = None
    at: tuple[int, int] | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    after: tuple[int, int, int] | None = None
    total: int | None = None
    cursor: str = ""


def run(ctx: Context, resource_type: str, resource_id: str, pairs: Sequence[tuple[str, str]]) -> Response:
    """One page of the history. ``resource_type`` and ``resource_id`` are "" for the whole system or type.

    ``pairs`` are the percent-decoded parameters of the URL. Deleted resources keep their history. Raises NotFound for a
    resource that never was, BadRequest.
    """
    scope = Scope(resource_type, resource_id)
    path = "/".join(part for part in (resource_type, resource_id, "_history") if part)
    binding = Binding(ctx.tenant.id, path, f"{ctx.principal.client_id}\0{ctx.principal.subject}")
    wanted = _opened(ctx, binding, pairs)
    page = Page(max(wanted.count, 1) + 1, wanted.since, wanted.at, wanted.after)
    versions = ctx.store.history(ctx.access, scope, page)
    ctx.phases.mark("sql")
    total = _total(ctx, scope, wanted, versions)
    more = len(versions) > wanted.count > 0
    del versions[wanted.count :]
    last = versions[-1] if versions else None
    seen = past.within_reach(ctx, [version.stored for version in versions])
    versions = [version for version, let in zip(versions, seen, strict=True) if let]
    ctx.trace.patients.update(one.stored.patient for one in versions if one.stored.patient is not None)
    links = [("self", _url(path, (("_cursor", wanted.cursor),) if wanted.cursor else wanted.pairs))]
    if more and last is not None:
        # The next page begins behind the last version looked at, shown or not.
        links.append(("next", _url(path, (("_cursor", _sealed(ctx, binding, wanted, last, total)),))))
    if wanted.cursor:
        links.append(("first", _url(path, wanted.pairs)))
    body = _bundle(ctx.base_url, versions, links, total)
    ctx.phases.mark("serialise")
    return Response(200, body)


def _opened(ctx: Context, binding: Binding, pairs: Sequence[tuple[str, str]]) -> _Wanted:
    cursors = [value for name, value in pairs if name == "_cursor"]
    if not cursors:
        return _parsed(pairs)
    others = sorted({name for name, _ in pairs} - {"_cursor", "_format", "_pretty"})
    if others or len(cursors) > 1:
        raise BadRequest("A _cursor stands alone: follow the next link as it was given.")
    opened = _sealer(ctx.store.hasher).open(cursors[0], binding)
    wanted = _parsed(opened.pairs)
    last_updated, version = (int(value or 0) for value in opened.position.values)
    after = (last_updated, opened.position.rid, version)
    return _Wanted(wanted.count, wanted.since, wanted.at, wanted.pairs, after, opened.total, cursors[0])


def _parsed(pairs: Sequence[tuple[str, str]]) -> _Wanted:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in NAMES:
            what = "parameters of a history"
            raise BadRequest(f"Unknown parameter {shown(name)}.{refusal(what, name, NAMES)}", code="not-supported")
        if given.setdefault(name, value) != value:
            raise BadRequest(f"{name} is given twice, as {shown(given[name])} and as {shown(value)}.")
    count, since, at = given.get("_count"), given.get("_since"), given.get("_at")
    if (sort := given.get("_sort")) is not None and sort not in _SORTS:
        raise BadRequest(f"A history cannot be sorted by {shown(sort)}: it is newest first, _sort=-_lastUpdated.")
    applied = tuple((name, value) for name, value in given.items() if name not in ("_format", "_pretty"))
    return _Wanted(
        DEFAULT_COUNT if count is None else _counted(count),
        None if since is None else _interval("_since", since)[0],
        None if at is None else _interval("_at", at),
        applied,
    )


def _counted(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise BadRequest(f"_count={shown(value)} is no whole number; write the size of a page, such as _count=50.")
    return min(int(value[:9]), MAX_COUNT)


def _interval(name: str, value: str) -> tuple[int, int]:
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        return interval(value.replace(" ", "+"))
    except ValueError:
        raise BadRequest(
            f"{name}={shown(value)} is no instant; write one such as {name}=2026-11-25T17:48:29Z."
        ) from None


def _total(ctx: Context, scope: Scope, wanted: _Wanted, versions: list[Version]) -> int | None:
    """How many versions there are: known for a whole resource, whose versions are numbered without gaps.

    Raises NotFound where a resource has no version at all.
    """
    if not scope.resource_id or wanted.after is not None:
        return wanted.total
    whole = wanted.since is None and wanted.at is None
    if versions:
        return versions[0].stored.version if whole else None
    if whole or ctx.store.read(ctx.access, scope.resource_type, scope.resource_id) is None:
        raise NotFound(f"{scope.resource_type}/{scope.resource_id} is not known.")
    return 0


def _sealed(ctx: Context, binding: Binding, wanted: _Wanted, last: Version, total: int | None) -> str:
    position = Position((last.stored.last_updated, last.stored.version), last.rid)
    return _sealer(ctx.store.hasher).seal(Continuation(wanted.pairs, position, total), binding)


@lru_cache(maxsize=8)
def _sealer(hasher: Hasher) -> CursorSealer:
    return CursorSealer.from_hasher(hasher)


def _url(path: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path


def _bundle(base_url: str, versions: Sequence[Version], links: Sequence[tuple[str, str]], total: int | None) -> bytes:
    """https://hl7.org/fhir/R4/bundle.html#history"""
    head = b'{"resourceType":"Bundle","type":"history"'
    if total is not None:
        head += b',"total":%d' % total
    head += b',"link":' + json.dumps([{"relation": name, "url": f"{base_url}/{url}"} for name, url in links])
    if not versions:
        return head + b"}"
    base = json.dumps(base_url)[1:-1]
    return head + b',"entry":[' + b",".join(_entry(base, version) for version in versions) + b"]}"


def _entry(base: bytes, version: Version) -> bytes:
    stored = version.stored
    name = f"{stored.resource_type}/{stored.id}"
    url = stored.resource_type if version.method == "POST" else name
    status = "204 No Content" if stored.deleted else "201 Created" if stored.version == 1 else "200 OK"
    resource = b"" if stored.deleted else b'"resource":' + stored.to_bytes() + b","
    rest = (
        f'"request":{{"method":"{version.method}","url":"{url}"}},'
        f'"response":{{"status":"{status}","etag":"W/\\"{stored.version}\\"",'
        f'"lastModified":"{format_instant(stored.last_updated)}"}}}}'
    )
    return b'{"fullUrl":"' + base + b"/" + name.encode() + b'",' + resource + rest.encode()
