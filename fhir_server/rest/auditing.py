"""What the audit trail keeps of a request. docs/audit.md, "What is recorded" """

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from fhir_server.access.principal import Principal
from fhir_server.audit import event as events
from fhir_server.audit.event import FAILED, REFUSED, SUCCESS, Event
from fhir_server.audit.trail import Trail
from fhir_server.errors import FhirError, Forbidden, TooManyRequests, Unauthenticated
from fhir_server.interactions.context import Context, Response
from fhir_server.rest import handlers
from fhir_server.rest.handlers import Handler
from fhir_server.rest.request import Request


class Kind(NamedTuple):
    """What requests to a handler are recorded as: ``writes`` with an intent before, ``body`` with what was sent."""

    name: str
    writes: bool = False
    body: bool = False


KINDS: dict[Handler, Kind] = {
    handlers.read: Kind("read"),
    handlers.vread: Kind("vread"),
    handlers.create: Kind("create", writes=True),
    handlers.update: Kind("update", writes=True),
    handlers.conditional_update: Kind("update", writes=True),
    handlers.patch: Kind("patch", writes=True),
    handlers.conditional_patch: Kind("patch", writes=True),
    handlers.delete: Kind("delete", writes=True),
    handlers.conditional_delete: Kind("delete", writes=True),
    handlers.search_type: Kind("search-type"),
    handlers.search_type_by_post: Kind("search-type", body=True),
    handlers.search_system: Kind("search-system"),
    handlers.search_system_by_post: Kind("search-system", body=True),
    handlers.search_compartment: Kind("search-type"),
    handlers.search_compartment_by_post: Kind("search-type", body=True),
    handlers.history_instance: Kind("history-instance"),
    handlers.history_type: Kind("history-type"),
    handlers.history_system: Kind("history-system"),
    handlers.bundle: Kind("transaction", writes=True),
    handlers.operation: Kind("operation", body=True),
}

NOT_RECORDED: frozenset[Handler] = frozenset((handlers.capabilities,))
"""What says the same to everybody and nothing about anybody."""

_BATCH = b'"type":"batch-response"'
_OTHER = Kind("operation", body=True)
_LONGEST_QUERY = 16_384
_REFUSALS = (Unauthenticated, Forbidden, TooManyRequests)


class Auditing:
    """Records requests in ``trail``."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    def begin(
        self, ctx: Context, request: Request, request_id: str, handler: Handler, segments: Sequence[str]
    ) -> Event | None:
        """What is known before the request runs; None where it is not recorded. Raises Unavailable."""
        if handler in NOT_RECORDED:
            return None
        kind = KINDS.get(handler, _OTHER)
        # POST reaches operations that change something: what they are is known to their registry, not here.
        writes = kind.writes or (kind.body and request.method == "POST" and handler not in _SEARCHES)
        event = _event(ctx.tenant.id, kind.name, request, request_id, segments, ctx.principal)
        if writes:
            self._trail.intend(event)
        return event

    def end(self, event: Event, request: Request, ctx: Context, response: Response) -> None:
        """Record what became of it. Raises Unavailable, and then the answer must not be given."""
        status = response.status
        outcome = SUCCESS if status < 400 else REFUSED if status < 500 else FAILED
        trace = ctx.trace
        changes: dict[str, object] = {"outcome": outcome, "status": status}
        if trace.patients:
            changes["patients"] = tuple(sorted(trace.patients))
        if trace.reason:
            changes |= {"reason": trace.reason, "decision": trace.decision}
        if trace.entries:
            changes["detail"] = {**event.detail, "entries": list(dict.fromkeys(trace.entries))}
        body = request.received
        if body is not None and event.kind in ("search-type", "search-system", "operation"):
            changes["query"] = f"{event.query}\n{body[:_LONGEST_QUERY].decode('utf-8', 'replace')}"
        if event.kind == "transaction" and response.body is not None and _BATCH in response.body[:200]:
            changes["kind"] = "batch"
        if trace.kind:
            changes["kind"] = trace.kind
        written = _written(trace.written, single=event.kind != "transaction" or "kind" not in changes)
        if written and (status < 400 or event.kind != "transaction"):
            if event.kind == "transaction" or len(written) > 1:
                changes["written"] = written
            else:
                names = ("resource_type", "resource_id", "before", "after")
                changes |= dict(zip(names, written[0], strict=True))
        elif event.kind in ("read", "vread") and response.version is not None:
            changes["after"] = response.version
        self._trail.record(msgspec.structs.replace(event, **changes))

    def refused(
        self,
        tenant_id: int,
        request: Request,
        request_id: str,
        handler: Handler,
        segments: Sequence[str],
        principal: Principal | None,
        error: FhirError,
    ) -> None:
        """Record a request that came no further than its access_token. Raises Unavailable."""
        if not isinstance(error, _REFUSALS) or handler in NOT_RECORDED:
            return
        kind = KINDS.get(handler, _OTHER)
        event = _event(tenant_id, kind.name, request, request_id, segments, principal or _NOBODY)
        self._trail.record(
            msgspec.structs.replace(event, outcome=REFUSED, status=error.status, reason=error.issues[0].diagnostics)
        )


_NOBODY = Principal("", "", "", ())
_SEARCHES = frozenset(
    (handlers.search_type_by_post, handlers.search_system_by_post, handlers.search_compartment_by_post)
)


def _written(found: Sequence[tuple[str, str, int, int]], *, single: bool) -> tuple[tuple[str, str, int, int], ...]:
    """What was written, once each.

    A transaction that lost against a parallel one has run again, and what counts is its last attempt; it writes no
    resource twice. A batch may.
    """
    if single:
        return tuple({one[:2]: one for one in found}.values())
    return tuple(dict.fromkeys(found))


def _event(
    tenant_id: int, kind: str, request: Request, request_id: str, segments: Sequence[str], principal: Principal
) -> Event:
    at = events.now()
    environ = request.environ
    path = "/".join(segments)
    query_string = environ.get("QUERY_STRING", "")
    url = f"{request.method} {path}?{query_string}" if query_string else f"{request.method} {path}"
    resource_type = segments[0] if segments and segments[0][:1] not in ("$", "_") else ""
    resource_id = segments[1] if resource_type and len(segments) > 1 and segments[1][:1] not in ("$", "_") else ""
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    return Event(
        id=events.new_id(at),
        tenant_id=tenant_id,
        at=at,
        kind=kind,
        subject=principal.subject,
        client_id=principal.client_id,
        roles=principal.roles,
        fhir_user=principal.fhir_user,
        grant=principal.grant,
        address=environ.get("REMOTE_ADDR", ""),
        request_id=request_id,
        resource_type=resource_type,
        resource_id=resource_id,
        query=url[:_LONGEST_QUERY],
        patient_ids=(resource_id,) if resource_type == "Patient" and resource_id else (),
        detail={"forwarded_for": forwarded[:200]} if forwarded else {},
    )
