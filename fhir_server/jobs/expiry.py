"""The job that forgets what has expired; what it does is handed in by the worker. docs/operations.md"""

from __future__ import annotations

from collections.abc import Callable

from procrastinate import Blueprint

QUEUE = "maintenance"


def tasks(remove: Callable[[], int]) -> Blueprint:
    """The task, once an hour."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="41 * * * *")
    @blueprint.task(name="remove_expired", queue=QUEUE, queueing_lock="expiry:remove_expired")
    def remove_expired(timestamp: int) -> None:
        remove()

    return blueprint
