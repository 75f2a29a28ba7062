"""Why something is refused: a code for programs, a sentence for people, an id for whoever is asked. docs/access.md"""

from __future__ import annotations

from fhir_server.access.policy import LETTERS, OPERATIONS, considered
from fhir_server.errors import Forbidden
from fhir_server.interactions.context import Context
from fhir_server.r4.identifiers import uuid7
from fhir_server.search.constraints import resolver

_WORST = ("launch-context", "permission", "scope-type", "scope-action", "context")
"""Of several reasons, the one that came nearest to a permission is told."""


def refusal(ctx: Context, interaction: str, resource_type: str | None, expression: str = "") -> Forbidden:
    """The refusal of an interaction that a decision leaves nothing for. It is the same for whatever there is."""
    what = f"{interaction} on {resource_type}" if resource_type else interaction
    letters = LETTERS.get(interaction, "")
    principal = ctx.principal
    context = "user" if principal.roles else "system"
    reasons = {
        one.why
        for one in considered(principal, interaction, resource_type, resolver(ctx.store.hasher), ctx.tenant.taken)
    }
    reason = next((one for one in _WORST if one in reasons), "scope")
    if reason == "launch-context":
        why = "scopes of a patient need a patient in the launch context"
    elif reason == "permission":
        roles = ", ".join(principal.roles) or "client"
        why = f"the role {roles} does not include it"
        if interaction in OPERATIONS:
            why = f"the role {roles} does not include the operation"
    else:
        why = f"the scope {context}/{resource_type or '*'}.{letters} would"
    return refused(ctx, f"The access_token does not permit {what}; {why}.", reason, expression)


def refused(ctx: Context, sentence: str, reason: str, expression: str = "") -> Forbidden:
    """A Forbidden with its reason's code and an id, which the audit trail holds as well."""
    ctx.trace.reason = reason
    ctx.trace.decision = ctx.trace.decision or str(uuid7())
    headers = [("X-Decision-Id", ctx.trace.decision), ("X-Decision-Reason", reason)]
    return Forbidden(sentence, expression=expression, headers=headers, details=reason)
