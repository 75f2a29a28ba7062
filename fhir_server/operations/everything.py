"""$everything: all there is of one patient, or of one encounter, to the last page.

https://hl7.org/fhir/R4/patient-operation-everything.html and https://hl7.org/fhir/R4/encounter-operation-everything.html

Pages go on after the last row seen, in three parts: the resource asked for, its compartment, then what those refer to
outside of it; the last two in the order of ``rid``, which no update changes. So each resource comes once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlencode

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest, Forbidden, Gone, NotFound
from fhir_server.interactions import masking
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.interactions.refusal import refused
from fhir_server.operations.operation import Operation
from fhir_server.r4 import definitions, json, references
from fhir_server.r4.compose import compose
from fhir_server.r4.instants import interval
from fhir_server.search import everything as statements
from fhir_server.search.cursor import Binding, Continuation, CursorSealer, Position
from fhir_server.search.everything import Focus, Wanted
from fhir_server.search.suggest import nearest, refusal, shown

PARAMETERS = {
    "Patient": ("start", "end", "_since", "_type", "_count"),
    "Encounter": ("_since", "_type", "_count"),
}
"""The types that have the operation, each with its parameters."""

_COMPARTMENT, _REFERRED = 1, 2
"""The parts of which a page is made after the resource itself; a cursor says in which the page before ended."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, and where the page before ended: in which part, after which ``rid``."""

    wanted: Wanted
    count: int
    pairs: Pairs
    part: int = 0
    after: int = 0
    cursor: str = ""


class _Entry(NamedTuple):
    included: bool
    resource_type: str
    id: str
    resource: bytes


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer one page as a searchset. https://hl7.org/fhir/R4/patient-operation-everything.html

    Raises Forbidden, NotFound, Gone for the resource asked for, BadRequest for parameters that the operation does not
    have. What the caller may not search for is left out: access is decided on every page, for every resource.
    """
    resource_type, resource_id = scope
    reading = ctx.decide("read", resource_type)
    if reading.nothing:
        raise Forbidden(
            f"The access_token does not permit read on {resource_type}; the scope system/{resource_type}.r would."
        )
    seen = masking.whole(reading)
    if seen.nothing:
        raise _in_part(ctx, resource_type)
    path = f"{resource_type}/{resource_id}/$everything"
    binding = Binding(ctx.tenant.id, path, f"{ctx.principal.client_id}\0{ctx.principal.subject}")
    asked = _asked(ctx, resource_type, binding, pairs_of("$everything", pairs, body))
    focus = ctx.store.read(seen, resource_type, resource_id)
    if focus is None and seen != reading and ctx.store.read(reading, resource_type, resource_id) is not None:
        raise _in_part(ctx, resource_type)
    if focus is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known.")
    if focus.deleted:
        raise Gone(f"{resource_type}/{resource_id} was deleted.")
    entries: list[_Entry] = []
    if asked.part == 0 and _gives(asked.wanted, resource_type, focus.last_updated):
        entries.append(_Entry(False, resource_type, resource_id, focus.to_bytes()))
    following = _collect(ctx, resource_type, resource_id, asked, entries)
    ctx.phases.mark("sql")
    response = Response(200, _bundle(ctx, path, binding, asked, entries, following))
    ctx.phases.mark("serialise")
    return response


def _in_part(ctx: Context, resource_type: str) -> Exception:
    return refused(
        ctx,
        f"{resource_type} is shown to the caller in part, and what belongs to it would tell of the rest; read it, "
        "or search for what refers to it.",
        "permission",
    )


def _gives(wanted: Wanted, resource_type: str, last_updated: int) -> bool:
    """Whether the resource itself is in the answer; its clinical date does not count, as it is the one asked for."""
    if wanted.types and resource_type not in wanted.types:
        return False
    return wanted.since is None or last_updated >= wanted.since


def _collect(
    ctx: Context, resource_type: str, resource_id: str, asked: _Asked, entries: list[_Entry]
) -> Position | None:
    """Fill the page from the compartment, then from what is referred to; where the next page begins, None at the end.

    Two statements at most find the rest of the page: the second part is only looked at when the first is at its end.
    """
    store = ctx.store
    # By what the caller sees in part they would be told of references that are hidden in it.
    access = store.in_force(masking.whole(ctx.decide("search-system", None).visible))
    if access.nothing:
        return None
    focus = Focus(resource_type, store.hasher.uncached(f"{resource_type}/{resource_id}"))
    if asked.part <= _COMPARTMENT:
        limit = asked.count - len(entries) + 1
        found = statements.members(store.tenant_id, store.hasher, focus, asked.wanted, access, asked.after, limit)
        following = _add(ctx, Position((_COMPARTMENT,), asked.after), found, asked.count, entries)
        if following is not None:
            return following
    keys = _referred_keys(ctx, focus, asked.wanted, access)
    if not keys:
        return None
    after = asked.after if asked.part == _REFERRED else 0
    limit = asked.count - len(entries) + 1
    found = statements.referred(store.tenant_id, store.hasher, focus, asked.wanted, access, keys, after, limit)
    return _add(ctx, Position((_REFERRED,), after), found, asked.count, entries)


def _add(
    ctx: Context,
    after: Position,
    statement: tuple[str, list[object]],
    count: int,
    entries: list[_Entry],
) -> Position | None:
    """Append the rows that come after a position until the page is full; where those left over begin, None for none.

    The statement gives one row more than there is room for.
    """
    result = ctx.store.search(*statement, plan_kept=True)
    get, names, room, last = result.get_value, _type_names(), count - len(entries), after.rid
    for row in range(result.ntuples):
        if len(entries) == count:
            break
        last = int(get(row, 0) or 0)
        resource_type, identity = names[int(get(row, 1) or 0)], (get(row, 2) or b"").decode()
        if (patient := get(row, 7)) is not None:
            ctx.trace.patients.add(int(patient))
        version, last_updated = int(get(row, 3) or 0), int(get(row, 4) or 0)
        resource = compose(resource_type, identity, version, last_updated, get(row, 5), get(row, 6) or b"{}")
        entries.append(_Entry(after.values == (_REFERRED,), resource_type, identity, resource))
    return Position(after.values, last) if result.ntuples > room else None


def _referred_keys(ctx: Context, focus: Focus, wanted: Wanted, access: Access) -> list[int]:
    """The keys of all that the compartment refers to by Type/id, or by an address below the server's own base."""
    statement = statements.references(ctx.store.tenant_id, ctx.store.hasher, focus, wanted, access)
    result = ctx.store.search(*statement, plan_kept=True)
    own = ctx.base_url + "/"
    keys: set[int] = set()
    for row in range(result.ntuples):
        text = (result.get_value(row, 0) or b"").decode().removeprefix(own)
        found = references.parse(text)
        if found.kind == "relative":
            keys.add(ctx.store.hasher(f"{found.type}/{found.id}"))
    return sorted(keys)


@lru_cache(maxsize=1)
def _type_names() -> dict[int, str]:
    return {number: name for name, number in definitions.load().type_ids.items()}


def _asked(ctx: Context, resource_type: str, binding: Binding, pairs: list[tuple[str, str]]) -> _Asked:
    cursors = [value for name, value in pairs if name == "_cursor"]
    if not cursors:
        return _parsed(ctx, resource_type, tuple(pairs))
    if len(pairs) > 1:
        raise BadRequest("A _cursor stands alone: follow the next link as it was given.")
    opened = _sealer(ctx.store.hasher).open(cursors[0], binding)
    asked = _parsed(ctx, resource_type, opened.pairs)
    part = int(opened.position.values[0] or 0)
    return _Asked(asked.wanted, asked.count, asked.pairs, part, opened.position.rid, cursors[0])


def _parsed(ctx: Context, resource_type: str, pairs: Pairs) -> _Asked:
    given: dict[str, str] = {}
    types: list[str] = []
    for name, value in pairs:
        if name not in PARAMETERS[resource_type]:
            what = f"parameters of $everything for {resource_type}"
            raise BadRequest(
                f"Unknown parameter {shown(name)}.{refusal(what, name, PARAMETERS[resource_type])}",
                code="not-supported",
            )
        if name == "_type":
            types += value.split(",")
        elif given.setdefault(name, value) != value:
            raise BadRequest(f"{name} is given twice, as {shown(given[name])} and as {shown(value)}.")
    for name in types:
        if name not in definitions.load().type_ids:
            hint = nearest(name, definitions.load().type_ids)
            near = f"; did you mean {' or '.join(hint)}?" if hint else "."
            raise BadRequest(f"_type={shown(name)} is no resource type of FHIR R4{near}")
    start, end, since = (given.get(name) for name in ("start", "end", "_since"))
    wanted = Wanted(
        tuple(dict.fromkeys(types)),
        None if start is None else _interval("start", start)[0],
        None if end is None else _interval("end", end)[1],
        None if since is None else _interval("_since", since)[0],
    )
    count = _counted(given.get("_count"), ctx.limits.search.max_count)
    applied = [(name, value) for name, value in given.items() if name != "_count"]
    if types:
        applied.append(("_type", ",".join(wanted.types)))
    return _Asked(wanted, count, (*applied, ("_count", str(count))))


def _counted(value: str | None, most: int) -> int:
    if value is None:
        return most
    if not (value.isascii() and value.isdigit()) or not int(value[:9]):
        raise BadRequest(
            f"_count={shown(value)} is no size of a page; write a whole number from 1, such as _count=100."
        )
    return min(int(value[:9]), most)


def _interval(name: str, value: str) -> tuple[int, int]:
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        return interval(value.replace(" ", "+"))
    except ValueError:
        raise BadRequest(f"{name}={shown(value)} is no date; write one such as {name}=2026-11-25.") from None


@lru_cache(maxsize=8)
def _sealer(hasher: Hasher) -> CursorSealer:
    return CursorSealer.from_hasher(hasher)


def _bundle(
    ctx: Context, path: str, binding: Binding, asked: _Asked, entries: Sequence[_Entry], following: Position | None
) -> bytes:
    """https://hl7.org/fhir/R4/bundle.html#searchset"""
    own = (("_cursor", asked.cursor),) if asked.cursor else asked.pairs
    links = [("self", f"{path}?{urlencode(own, quote_via=quote, safe='/:,')}")]
    if following is not None:
        sealed = _sealer(ctx.store.hasher).seal(Continuation(asked.pairs, following), binding)
        links.append(("next", f"{path}?_cursor={sealed}"))
    head = b'{"resourceType":"Bundle","type":"searchset"'
    if following is None and not asked.cursor:
        head += b',"total":%d' % len(entries)
    head += b',"link":' + json.dumps([{"relation": name, "url": f"{ctx.base_url}/{url}"} for name, url in links])
    if not entries:
        return head + b"}"
    return head + b',"entry":[' + b",".join(_entries(ctx.base_url, entries)) + b"]}"


def _entries(base_url: str, entries: Iterable[_Entry]) -> Iterable[bytes]:
    base = json.dumps(base_url)[:-1]
    for entry in entries:
        name = f"/{entry.resource_type}/{entry.id}".encode()
        mode = b"include" if entry.included else b"match"
        yield b'{"fullUrl":' + base + name + b'","resource":' + entry.resource + b',"search":{"mode":"' + mode + b'"}}'


_DEFINITIONS = {name: f"http://hl7.org/fhir/OperationDefinition/{name}-everything" for name in PARAMETERS}

OPERATION = Operation(
    "everything", _DEFINITIONS["Patient"], ("instance",), run, _DEFINITIONS, needs=("read",), whole=True
)
