"""`fhir-server worker`: run the jobs of the queue. https://procrastinate.readthedocs.io/"""

from __future__ import annotations

import click

from fhir_server import logs
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.settings import Settings


@click.command(epilog=example("WORKER_CONCURRENCY=4 fhir-server worker"))
def command() -> None:
    """Run jobs, WORKER_CONCURRENCY at the same time, until told to stop."""
    from fhir_server import worker

    settings = Settings.from_env()
    logs.configure(settings.log_level)
    with database(settings) as urls:
        worker.run(settings, urls.app)
