"""What an interaction is given and what it answers; nothing of HTTP's wire is left in either.
https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from fhir_server.access.policy import Access, decide
from fhir_server.access.principal import Principal
from fhir_server.search.constraints import resolver
from fhir_server.search.parse import DEFAULT_LIMITS
from fhir_server.search.parse import Limits as SearchLimits
from fhir_server.search.registries import registry_of
from fhir_server.search.registry import Registry
from fhir_server.store.store import Store


@dataclass(frozen=True, slots=True)
class Tenant:
    """The clinic that a request is for: its number in the store and its name in the URL.

    ``taken`` are the permissions that it has taken from roles, by role: access/roles.py, narrowed.
    """

    id: int
    slug: str
    taken: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Prefer:
    """The Prefer header. https://hl7.org/fhir/R4/http.html#ops and https://hl7.org/fhir/R4/search.html#errors

    ``returning`` is minimal, representation, OperationOutcome or "" (the default, representation).
    """

    returning: str = ""
    lenient: bool = False
    respond_async: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a request, from headers or from Bundle.entry.request.
    https://hl7.org/fhir/R4/http.html#cond-update

    ``if_match`` and ``if_none_match`` are versionIds without W/ and quotes ("*" as it is); ``if_modified_since`` is
    in whole seconds since 1970; ``if_none_exist`` a search query. None or "": not given.
    """

    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: int | None = None
    if_none_exist: str | None = None


NO_CONDITIONS = Conditions()


@dataclass(slots=True)
class Trace:
    """What a request came to, gathered on the way for the audit trail. docs/audit.md

    ``patients`` are the keys of the patients that the answer tells of. ``written`` are type, id and the versions before
    and after, 0 for none. ``entries`` are the entries of a bundle that read, or were refused, with their status.
    ``decision`` names a refusal, ``reason`` is its code, or what the person said. ``kind`` is of audit/codes.py, "" for
    what the route says.
    """

    patients: set[int] = field(default_factory=set)
    written: list[tuple[str, str, int, int]] = field(default_factory=list)
    entries: list[tuple[str, int]] = field(default_factory=list)
    decision: str = ""
    reason: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for: page sizes and lengths of searches, entries of a bundle."""

    search: SearchLimits = DEFAULT_LIMITS
    max_bundle_entries: int = 20_000


class Phases:
    """How long each named phase of a request took, for Server-Timing and metrics.
    https://www.w3.org/TR/server-timing/"""

    __slots__ = ("_last", "_started", "microseconds")

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter_ns()
        self.microseconds: dict[str, int] = {}

    def mark(self, phase: str) -> None:
        """The time since the last mark belongs to this phase."""
        now = time.perf_counter_ns()
        self.microseconds[phase] = self.microseconds.get(phase, 0) + (now - self._last) // 1000
        self._last = now

    def total(self) -> int:
        """Microseconds since the request came in."""
        return (time.perf_counter_ns() - self._started) // 1000


@dataclass(frozen=True, slots=True)
class Context:
    """Everything an interaction may use.

    ``access`` is the decision for this interaction; ``decide`` asks for another one (a bundle's entries).
    ``base_url`` is the tenant's FHIR base without a trailing slash.
    """

    tenant: Tenant
    principal: Principal
    access: Access
    store: Store
    base_url: str
    prefer: Prefer = Prefer()
    limits: Limits = Limits()
    phases: Phases = field(default_factory=Phases)
    trace: Trace = field(default_factory=Trace)

    def decide(self, interaction: str, resource_type: str | None) -> Access:
        """What the caller may reach by this interaction: the one decision. docs/access.md"""
        return decide(self.principal, interaction, resource_type, resolver(self.store.hasher), self.tenant.taken)

    @property
    def registry(self) -> Registry:
        """The tenant's search parameters: the standard ones and its own."""
        return registry_of(self.store)

    def within(self, store: Store, access: Access) -> Context:
        """The same context inside a transaction, or under another decision."""
        return replace(self, access=access, store=store)


@dataclass(slots=True)
class Response:
    """The answer of an interaction. ``body`` is FHIR JSON or None, or of the ``content_type`` where that is given.

    ``version`` and ``last_updated`` (microseconds) become ETag and Last-Modified; ``location`` is relative to the base
    ("Patient/1/_history/2").
    """

    status: int
    body: bytes | None = None
    version: int | None = None
    last_updated: int | None = None
    location: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = ""
