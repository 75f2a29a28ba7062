"""The codes that a search's value sets and hierarchies stand for, looked up before it is compiled.
https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import msgspec

from fhir_server.access.policy import of_types
from fhir_server.errors import BadRequest, NotFound
from fhir_server.search import compile as compiler
from fhir_server.search.query import Clause, Filter, SearchQuery, Selection, clauses, mapped, with_clauses
from fhir_server.search.registry import parameters
from fhir_server.search.types.token import LOOKED_UP
from fhir_server.search.values import bad_value, split, unescape
from fhir_server.store.store import Store
from fhir_server.terminology import standard
from fhir_server.terminology.budget import Budget, check_count
from fhir_server.terminology.code_system import CodeSystem
from fhir_server.terminology.expansion import Code, Expander
from fhir_server.terminology.value_set import ValueSet

TERMINOLOGY = of_types("CodeSystem", "ValueSet")
"""What evaluating a search may read: definitions of the tenant, whoever asks.

A search by value set needs the right to search the resources that it finds, not to read the ValueSet: definitions say
nothing of any patient, and whoever may search Observations by code could send the same codes one by one. Nothing read
under this decision is ever part of an answer, but for the URL that the client itself named.
"""

_MOST_VERSIONS = 20
_STATUSES = ("unknown", "retired", "draft", "active")
_LOCAL = re.compile(r"ValueSet/([A-Za-z0-9.-]{1,64})")
_SEPARATORS = re.compile(r"([\\,|$])")
_VERSION_PARTS = re.compile(r"[0-9]+|[^0-9.]+")

Kind = TypeVar("Kind", CodeSystem, ValueSet)


class ContextLike(Protocol):
    """What of a Context is needed here: the tenant's store, and its FHIR base without a trailing slash."""

    @property
    def store(self) -> Store:
        """The tenant's store, inside of a transaction or not."""

    @property
    def base_url(self) -> str:
        """The tenant's FHIR base."""


def resolve(ctx: ContextLike, filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """The filters with the codes of ``:in``, ``:not-in``, ``:above`` and ``:below`` filled in, at any depth.

    ValueSets and CodeSystems are those that the tenant has stored, then those of the specification. Costs nothing where
    no filter has such a modifier. Raises NotFound for a ValueSet, CodeSystem or code that is not known here, BadRequest
    for one that cannot be evaluated or stands for too many codes (too-costly).
    """
    if not any(_is_looked_up(clause) for one in filters for clause in clauses(one)):
        return filters
    looking = _LookUp(ctx)
    return tuple(mapped(one, looking.filled) for one in filters)


def resolve_query(ctx: ContextLike, query: SearchQuery) -> SearchQuery:
    """The query with `resolve` done for each type it searches, within one budget. Raises like `resolve`."""
    if not any(_is_looked_up(clause) for part in query.selections for one in part.filters for clause in clauses(one)):
        return query
    return with_clauses(query, _LookUp(ctx).filled)


def _is_looked_up(clause: Clause) -> bool:
    return clause.modifier in LOOKED_UP and clause.parameter.type == "token"


class _LookUp:
    """The look-ups of one search, which share a budget and what has been read already."""

    def __init__(self, ctx: ContextLike) -> None:
        self.store = ctx.store
        self.own = ctx.base_url + "/"
        self.budget = Budget()
        self.library = _TenantLibrary(ctx.store, self.budget)
        self.expander = Expander(self.library, self.budget)
        self.known: dict[tuple[str, tuple[str, ...]], tuple[Code, ...]] = {}

    def filled(self, clause: Clause) -> Clause:
        """The clause with its codes, if its modifier stands for any."""
        if not _is_looked_up(clause):
            return clause
        # A search of several types says the same of each.
        key = (clause.modifier.removeprefix("not-"), clause.values)
        if key not in self.known:
            self.known[key] = self.codes(clause)
        return replace(clause, codes=self.known[key])

    def codes(self, clause: Clause) -> tuple[Code, ...]:
        """The codes of all values of a clause, each once."""
        found: dict[Code, None] = {}
        for value in clause.values:
            if clause.modifier in ("in", "not-in"):
                found |= dict.fromkeys(self.members(clause, unescape(value)))
            else:
                found |= dict.fromkeys(self.related(clause, value))
        check_count(len(found), clause.text)
        return tuple(found)

    def members(self, clause: Clause, value: str) -> tuple[Code, ...]:
        local = _LOCAL.fullmatch(value.removeprefix(self.own))
        if local is not None:
            return self.expander.members(self.library.stored_value_set(local[1]), f"ValueSet/{local[1]}")
        if ":" not in value or value.startswith("#"):
            raise bad_value(clause, "the value is the URL of a ValueSet, with or without |version, or ValueSet/id")
        return self.expander.canonical(value)

    def related(self, clause: Clause, value: str) -> tuple[Code, ...]:
        parts = [unescape(part) for part in split(value, "|")]
        if len(parts) != 2 or not all(parts):
            raise bad_value(clause, f"the value of :{clause.modifier} is system|code")
        system, code = parts
        return self.expander.below(system, code) if clause.modifier == "below" else self.expander.above(system, code)


class _TenantLibrary:
    """The ValueSets and CodeSystems that a tenant has stored, then those of the specification.

    https://hl7.org/fhir/R4/references.html#canonical
    """

    def __init__(self, store: Store, budget: Budget) -> None:
        self.store = store
        self.budget = budget
        self._value_sets: dict[tuple[str, str], ValueSet | None] = {}
        self._code_systems: dict[tuple[str, str], CodeSystem | None] = {}

    def value_set(self, url: str, version: str) -> ValueSet | None:
        key = (url, version)
        if key not in self._value_sets:
            stored = self._stored("ValueSet", ValueSet, url, version)
            self._value_sets[key] = stored or standard.value_set(url, version)
        return self._value_sets[key]

    def code_system(self, url: str, version: str) -> CodeSystem | None:
        key = (url, version)
        if key not in self._code_systems:
            stored = self._stored("CodeSystem", CodeSystem, url, version)
            self._code_systems[key] = stored or standard.code_system(url, version)
        return self._code_systems[key]

    def stored_value_set(self, resource_id: str) -> ValueSet:
        """The ValueSet of an id. Raises NotFound."""
        self.budget.look_up()
        stored = self.store.read(TERMINOLOGY, "ValueSet", resource_id)
        if stored is None or stored.body is None:
            raise NotFound(f"ValueSet/{resource_id} is not known here. Store it, or name one by its URL.")
        return self._decoded(f"ValueSet/{resource_id}", stored.body, ValueSet)

    def _stored(self, resource_type: str, kind: type[Kind], url: str, version: str) -> Kind | None:
        """The one of that URL; of several, the version asked for, or else the latest."""
        self.budget.look_up()
        rows = _find(self.store, resource_type, url, version)
        found = [(self._decoded(f"{resource_type} {url}", body, kind), updated) for body, updated in rows]
        fitting = [(one, updated) for one, updated in found if one.url == url and version in ("", one.version)]
        return max(fitting, key=lambda pair: _precedence(*pair))[0] if fitting else None

    def _decoded(self, name: str, body: bytes, kind: type[Kind]) -> Kind:
        self.budget.read(len(body))
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest(f"{name} is stored in a form that cannot be evaluated.", code="processing") from None


def _find(store: Store, resource_type: str, url: str, version: str) -> Iterable[tuple[bytes, int]]:
    """The bodies and times of last update of the resources with a canonical URL, by the server's own search.

    Of more than `_MOST_VERSIONS` versions these are the ones created last.
    """
    wanted = {"url": url, "version": version} if version else {"url": url}
    selection = Selection(resource_type, tuple(_equal(resource_type, *pair) for pair in wanted.items()))
    query = SearchQuery((selection,), count=_MOST_VERSIONS - 1)
    body, updated = compiler.COLUMNS.index("body"), compiler.COLUMNS.index("last_updated")
    for statement in compiler.compile(query, TERMINOLOGY, store.tenant_id, store.hasher):
        result = store.search(statement.sql, statement.values)
        for row in range(result.ntuples):
            yield result.get_value(row, body) or b"{}", int(result.get_value(row, updated) or 0)


def _equal(resource_type: str, code: str, value: str) -> Clause:
    escaped = _SEPARATORS.sub(r"\\\1", value)
    return Clause(parameters(resource_type)[code], "", (escaped,), f"{code}={escaped}")


def _precedence(one: CodeSystem | ValueSet, updated: int) -> tuple[int, Sequence[object], str, int]:
    """Which of several is the latest: an active one before others, then by version, date and last update.

    https://hl7.org/fhir/R4/references.html#canonical leaves that to the server.
    """
    status = _STATUSES.index(one.status) if one.status in _STATUSES else 0
    return status, version_order(one.version), one.date, updated


def version_order(version: str) -> list[tuple[int, int, str]]:
    """A key that sorts versions as people read them: 1.9 before 1.10, 2.0-beta before 2.0. https://semver.org"""
    parts: list[tuple[int, int, str]] = []
    for part in _VERSION_PARTS.findall(version):
        number = part.lstrip("0") if part[0].isdigit() else ""
        parts.append((2, len(number), number) if part[0].isdigit() else (0, 0, part))
    return [*parts, (1, 0, "")]
