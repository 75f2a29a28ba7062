"""The spine: every interaction is decided here before it runs. docs/architecture.md, "Access" """

from __future__ import annotations

from collections.abc import Callable

from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.refusal import refusal
from fhir_server.store.own_parameters import ParametersChanged
from fhir_server.store.searching import ConsentsFound


def perform(ctx: Context, interaction: str, resource_type: str | None, run: Callable[[Context], Response]) -> Response:
    """Decide and run one interaction. ``ctx.access`` may be of an earlier decision; it is replaced.

    ``interaction`` is a key of access.policy.LETTERS; ``resource_type`` None for the whole system. Raises Forbidden
    where the decision leaves nothing, and whatever the interaction raises.
    """
    access = ctx.decide(interaction, resource_type)
    if access.nothing:
        raise refusal(ctx, interaction, resource_type)
    ctx.phases.mark("decide")
    inner = ctx.within(ctx.store, access)
    try:
        return run(inner)
    except (ParametersChanged, ConsentsFound):
        # Nothing was written, and in moments nothing will have changed again.
        return run(inner)
