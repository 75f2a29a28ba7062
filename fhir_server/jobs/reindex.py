"""The jobs that build indexes. https://procrastinate.readthedocs.io/en/stable/howto/advanced/retry.html

What they do is handed in by the worker: it stands above this layer, in bulk/reindexing.py.
"""

from __future__ import annotations

from collections.abc import Callable

from procrastinate import Blueprint, JobContext, RetryStrategy

from fhir_server.store.reindex_runs import QUEUE

Work = Callable[[int, str, Callable[[], bool]], None]
"""(tenant's number, run, whether to stop soon): go on with a run."""

Sweep = Callable[[], None]
"""Leave runs to new jobs that nobody works on any more."""

ATTEMPTS = 20


def tasks(work: Work, sweep: Sweep) -> Blueprint:
    """The task that goes on with a run, and one that looks each minute whether one was left behind."""
    blueprint = Blueprint()

    # The database may be away for a while; a run that cannot be finished ends by itself, not by an exception.
    @blueprint.task(
        name="go_on", queue=QUEUE, pass_context=True, retry=RetryStrategy(max_attempts=ATTEMPTS, linear_wait=5)
    )
    def go_on(context: JobContext, tenant_id: int, run: str) -> None:
        work(tenant_id, run, context.should_abort)

    @blueprint.periodic(cron="* * * * *")
    @blueprint.task(name="sweep", queue=QUEUE, queueing_lock="reindex:sweep")
    def look(timestamp: int) -> None:
        sweep()

    return blueprint
