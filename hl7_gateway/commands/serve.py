"""`hl7-gateway serve`: receive messages and turn them into resources. docs/hl7.md"""

from __future__ import annotations

import click

from fhir_server import logs
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.settings import Settings


@click.command(epilog=example("MLLP_PORT=2575 MLLP_WORKERS=2 hl7-gateway serve"))
def serve() -> None:
    """Listen on MLLP_PORT and the ports of feeds, with MLLP_WORKERS processes beside, until told to stop."""
    from hl7_gateway import server

    settings = Settings.from_env()
    logs.configure(settings.log_level)
    with database(settings, patient=True) as urls:
        server.serve(settings, urls.app)


@click.command(epilog=example("hl7-gateway work"))
@click.option("--place", type=click.IntRange(1), default=1, show_default=True, help="Which of several processes it is.")
def work(place: int) -> None:
    """Convert messages in one more process, until told to stop; `serve` starts MLLP_WORKERS of these itself."""
    from hl7_gateway import server

    settings = Settings.from_env()
    logs.configure(settings.log_level)
    with database(settings, patient=True) as urls:
        server.work(settings, urls.app, place)
