"""What $access looks at: a resource, a version of one, or a record of the audit trail. docs/access.md, "Why?" """

from __future__ import annotations

from fhir_server.access.policy import Access
from fhir_server.errors import NotFound
from fhir_server.interactions import audit_events, past
from fhir_server.interactions.context import Context
from fhir_server.interactions.smallest_grants import Question
from fhir_server.store.resources import Stored

_ONLY = ("", "1")
"""Records of the trail never change: they have one version."""


def seen(ctx: Context, access: Access, question: Question) -> Stored | None:
    """What a question is about, as an access shows it; None for what it does not show, and for what is not there."""
    if not question.recorded:
        return past.seen(ctx, access, question.resource_type, question.resource_id, question.version)
    if access.nothing or question.version not in _ONLY:
        return None
    try:
        found = audit_events.read(ctx.within(ctx.store, access), question.resource_id)
    except NotFound:
        return None
    return Stored(
        found.resource_type, found.id, found.version, found.last_updated, False, found.patient, found.meta, found.body
    )
