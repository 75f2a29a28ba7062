"""`fhir-server web`: serve FHIR over HTTP. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import click

from fhir_server import logs
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.settings import Settings


@click.command(epilog=example("PORT=8081 WEB_WORKERS=4 fhir-server web"))
def command() -> None:
    """Serve the REST API on HOST and PORT with WEB_WORKERS processes."""
    from fhir_server import web
    from fhir_server.ports import check_port

    settings = Settings.from_env()
    check_port(settings.host, settings.port)
    logs.configure(settings.log_level)
    with database(settings) as urls:
        web.serve(settings, urls.app)
