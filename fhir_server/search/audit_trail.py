"""A search for AuditEvents on the audit trail: which of its records it means. docs/audit.md, "Searching" """

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fhir_server.audit import audit_event
from fhir_server.audit import event as events
from fhir_server.audit.codes import ACTION, CODES, OUTCOME, Code, Coded
from fhir_server.audit.drain import agent_key
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import instants
from fhir_server.search import date_ranges
from fhir_server.search.query import Clause, Filter, Has, SearchQuery, each
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import date as dates
from fhir_server.search.types import reference as references
from fhir_server.search.values import split, split_prefix, unescape

ANSWERED = (
    "patient", "entity", "agent", "agent-name", "type", "subtype", "action", "outcome", "date", "_id", "_lastUpdated",
)  # fmt: skip
"""The parameters that the trail can be searched by."""

_NEVER = frozenset(("site", "source", "entity-name", "altid", "policy", "_tag", "_security", "_source"))
"""What no record of the trail has a value of that could be searched for."""

_OUTCOMES = ("0", "4", "8", "12")


@dataclass(slots=True)
class Meant:
    """SQL conditions on audit_record as ``r``; ``key`` is the placeholder of the one key that all have in common."""

    conditions: list[str]
    key: str = ""


def within(found: Meant, sql: SqlParameters, hasher: Hasher, only: frozenset[str] | None) -> Meant | None:
    """What of it is about the patients with the ids in ``only``, None for everybody; None where that is nothing."""
    if only is None:
        return found
    if not only:
        return None
    keys = sorted(hasher.uncached(f"Patient/{one}") for one in only)
    return Meant([*found.conditions, _about(keys, sql)], found.key)


def meant(query: SearchQuery, sql: SqlParameters, hasher: Hasher, only: frozenset[str] | None = None) -> Meant | None:
    """Which records a query on AuditEvent means; None where it can mean none of the trail's.

    ``only`` are the ids of the patients that may be asked about, None for all. Raises BadRequest for what the trail
    cannot be searched by, though records of it may be meant.
    """
    found = Meant([])
    for one in each(query.filters):
        if isinstance(one, Has):
            # Nothing refers to a record of the trail.
            return None
        if not isinstance(one, Clause) or one.parameter.code not in {*ANSWERED, *_NEVER}:
            raise _unanswered(one)
        if only is not None and one.parameter.code in ("patient", "entity") and not _asks_about(one, only):
            # Whether a record is about anybody else as well must not show.
            return None
        if one.parameter.code in _NEVER:
            if one.modifier:
                raise _unanswered(one)
            return None
        _READERS[one.parameter.code](one, found, sql, hasher)
    return found


def _asks_about(clause: Clause, only: frozenset[str]) -> bool:
    """Whether a clause names nothing but these patients."""
    return not clause.modifier.islower() and set(references.targets(clause)) <= {f"Patient/{one}" for one in only}


def _about(keys: list[int], sql: SqlParameters) -> str:
    return (
        f"r.id IN (SELECT e.id FROM audit_entity e WHERE e.tenant_id = {sql.tenant} "  # noqa: S608
        f"AND e.key = ANY({sql.bind(keys, 'bigint[]')}))"
    )


def _unanswered(one: Filter) -> BadRequest:
    return BadRequest(
        f"{one.text}: the server's own audit records, which belong to this search, cannot be searched like this; "
        f"{', '.join(ANSWERED)} can be used, without a chain.",
        code="not-supported",
    )


def _entity(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
    if clause.modifier == "identifier":
        raise _unanswered(clause)
    keys = sorted({hasher.uncached(name) for name in references.targets(clause)})
    if len(keys) == 1 and not found.key:
        found.key = sql.bind(keys[0], "bigint")
        return
    found.conditions.append(_about(keys, sql))


def _agent(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
    if clause.modifier == "identifier":
        values = [split(value, "|")[-1] for value in clause.values]
        agents = [agent_key(hasher, "", unescape(value)) for value in values]
        clients = [hasher.uncached(f"client:{unescape(value)}") for value in values]
        bound = sql.bind([key for key in agents if key is not None], "bigint[]")
        found.conditions.append(f"(r.agent = ANY({bound}) OR r.client = ANY({sql.bind(clients, 'bigint[]')}))")
        return
    keys = sorted({hasher.uncached(name) for name in references.targets(clause)})
    found.conditions.append(f"r.agent = ANY({sql.bind(keys, 'bigint[]')})")


def _agent_name(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
    """The name of a client is its client_id: beside it a record names people by who they are only."""
    if clause.modifier not in ("", "exact", "contains"):
        raise _unanswered(clause)
    alternatives = []
    for value in clause.values:
        text = unescape(value)
        for special in "\\%_":
            text = text.replace(special, "\\" + special)
        pattern = {"": f"{text}%", "exact": text, "contains": f"%{text}%"}[clause.modifier]
        name = "(r.record::json ->> 'client_id')"
        alternatives.append(f"{name} {'LIKE' if clause.modifier == 'exact' else 'ILIKE'} {sql.bind(pattern, 'text')}")
    found.conditions.append(f"({' OR '.join(alternatives)})")


def _by_kind(codes_of: Callable[[Coded], Iterable[Code]]) -> Callable[[Clause, Meant, SqlParameters, Hasher], None]:
    """A reader of a token that follows from the kind of a record."""

    def read(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
        kinds = [kind for kind, coded in CODES.items() if _is_one(clause, codes_of(coded))]
        found.conditions.append(f"r.kind = ANY({sql.bind(kinds, 'text[]')})")

    return read


def _outcome(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
    chosen = [int(code) for code in _OUTCOMES if _is_one(clause, (Code(OUTCOME, code, ""),))]
    found.conditions.append(f"r.outcome = ANY({sql.bind(chosen, 'smallint[]')})")


def _is_one(clause: Clause, codes: Iterable[Code]) -> bool:
    """Whether one of the codes is meant by a token, or by none of its values under :not.

    https://hl7.org/fhir/R4/search.html#token
    """
    if clause.modifier not in ("", "not"):
        raise _unanswered(clause)
    values = [tuple(map(unescape, split(value, "|"))) for value in clause.values]
    return any(_matches(value, code) for value in values for code in codes) == (clause.modifier == "")


def _matches(value: tuple[str, ...], code: Code) -> bool:
    if len(value) == 1:
        return value[0] == code.code
    return len(value) == 2 and value[0] == code.system and value[1] in ("", code.code)


def _date(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
    # As it is served: an instant in milliseconds. https://hl7.org/fhir/R4/datatypes.html#instant
    low = "(r.at - r.at % 1000)"
    found.conditions.append(f"({dates.condition([clause], sql, low, f'{low} + 1000')})")
    start, end = _outer(clause)
    if start > 0:
        found.conditions.append(f"r.id >= {sql.bind(events.floor_id(start), 'uuid')}")
    if end < instants.MAX:
        found.conditions.append(f"r.id < {sql.bind(events.floor_id(max(end, 0)), 'uuid')}")


def _outer(clause: Clause) -> tuple[int, int]:
    """Bounds that follow from the clause, for the index."""
    low, high = instants.MAX, instants.MIN
    for value in clause.values:
        prefix, text = split_prefix(value)
        start, end = date_ranges.searched(text)
        spans = {
            "eq": (start, end),
            "gt": (start, instants.MAX),
            "ge": (start, instants.MAX),
            "sa": (start, instants.MAX),
            "lt": (instants.MIN, end),
            "le": (instants.MIN, end),
            "eb": (instants.MIN, end),
        }
        one = spans.get(prefix, (instants.MIN, instants.MAX))
        low, high = min(low, one[0]), max(high, one[1])
    return low - instants.SECOND if low > 0 else low, high + instants.SECOND if high < instants.MAX else high


def _id(clause: Clause, found: Meant, sql: SqlParameters, hasher: Hasher) -> None:
    if clause.modifier:
        raise _unanswered(clause)
    parsed = [audit_event.ID.fullmatch(unescape(value)) for value in clause.values]
    numbers = [int(match[1]) for match in parsed if match is not None and int(match[1]) < 2**63]
    found.conditions.append(f"r.seq = ANY({sql.bind(numbers, 'bigint[]')})")


_READERS: dict[str, Callable[[Clause, Meant, SqlParameters, Hasher], None]] = {
    "patient": _entity,
    "entity": _entity,
    "agent": _agent,
    "agent-name": _agent_name,
    "type": _by_kind(lambda coded: (coded.type,)),
    "subtype": _by_kind(lambda coded: coded.subtypes),
    "action": _by_kind(lambda coded: (Code(ACTION, coded.action, ""),)),
    "outcome": _outcome,
    "date": _date,
    "_lastUpdated": _date,
    "_id": _id,
}


def page(found: Meant, sql: SqlParameters, after: str, count: int, *, ascending: bool) -> str:
    """The SQL of one page of records, seq, id, at and record each; ``after`` is the id that the last page ended at."""
    conditions = list(found.conditions)
    if after:
        conditions.append(f"r.id {'>' if ascending else '<'} {sql.bind(after, 'uuid')}")
    order = "ASC" if ascending else "DESC"
    return (
        f"SELECT r.seq, r.id::text, r.at, r.record FROM {_source(found, sql, conditions)} "  # noqa: S608
        f"ORDER BY r.id {order} LIMIT {count:d}"
    )


def total(found: Meant, sql: SqlParameters) -> str:
    """The SQL of the number of all records that are meant."""
    return f"SELECT count(*) FROM {_source(found, sql, found.conditions)}"  # noqa: S608


def _source(found: Meant, sql: SqlParameters, conditions: list[str]) -> str:
    source = "audit_record r"
    wanted = [f"r.tenant_id = {sql.tenant}", *conditions]
    if found.key:
        source += " JOIN audit_entity e ON e.tenant_id = r.tenant_id AND e.id = r.id"
        wanted += [f"e.tenant_id = {sql.tenant}", f"e.key = {found.key}"]
    return f"{source} WHERE {' AND '.join(wanted)}"
