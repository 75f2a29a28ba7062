"""What keeps the job queue itself in order. https://procrastinate.readthedocs.io/en/stable/howto/production.html"""

from __future__ import annotations

from procrastinate import Blueprint, JobContext

QUEUE = "maintenance"
KEEP_FINISHED_HOURS = 24 * 7
STALLED_SECONDS = 60
"""A worker tells that it lives every 10 s; one that has been silent for this long is gone, and its jobs start over."""


def tasks() -> Blueprint:
    """The maintenance tasks with their times. A new set each time, since adding them to a queue changes them."""
    blueprint = Blueprint()
    for cron, work in (("17 3 * * *", remove_old_jobs), ("* * * * *", retry_stalled_jobs)):
        name = work.__name__
        declare = blueprint.task(name=name, queue=QUEUE, queueing_lock=name, pass_context=True)
        blueprint.periodic(cron=cron)(declare(work))
    return blueprint


async def remove_old_jobs(context: JobContext, timestamp: int) -> None:
    """Each night, remove jobs that succeeded over KEEP_FINISHED_HOURS ago; failed ones stay to be looked at."""
    await context.app.job_manager.delete_old_jobs(nb_hours=KEEP_FINISHED_HOURS)


async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Each minute, put the jobs of workers that died back into the queue."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        await manager.retry_job(job)
