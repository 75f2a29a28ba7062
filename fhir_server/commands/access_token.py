"""`fhir-server access-token`: an access_token of the server's own making. https://www.rfc-editor.org/rfc/rfc9068"""

from __future__ import annotations

import re

import click
import psycopg

from fhir_server.authn import access_token, keys
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import tenants
from fhir_server.store.database_urls import connect

CLIENT_ID = "fhir-server-cli"
DEFAULT_SCOPE = "system/*.cruds"
SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
"""https://www.rfc-editor.org/rfc/rfc6749#section-3.3"""


@click.command(
    name="access-token",
    epilog=example(
        'curl -H "Authorization: Bearer $(fhir-server access-token --tenant riverside)" '
        "http://localhost:8080/t/riverside/fhir/Patient"
    ),
)
@click.option("--tenant", "slug", required=True, help="The tenant that it is good for.")
@click.option("--scope", default=DEFAULT_SCOPE, show_default=True, help="SMART scopes, with spaces between them.")
@click.option(
    "--lifetime",
    type=click.IntRange(1, 31_536_000),
    metavar="SECONDS",
    help="How long it is valid; ACCESS_TOKEN_LIFETIME unless given.",
)
def command(slug: str, scope: str, lifetime: int | None) -> None:
    """Print an access_token, and nothing else, on standard output."""
    settings = Settings.from_env()
    if not SCOPES.fullmatch(scope):
        raise click.UsageError("--scope must be SMART scopes with one space between them, such as system/*.cruds.")
    with database(settings) as urls:
        setting = "DATABASE_URL" if urls.owner else "APP_DATABASE_URL"
        with connect(urls.owner or urls.app, setting) as connection:
            known = [tenant.slug for tenant in tenants.listed(connection)] if _migrated(connection) else []
    if slug not in known:
        have = f"there are: {', '.join(known[:20])}" if known else "there is none yet"
        raise ConfigurationError(f"There is no tenant {slug!r}; {have}.")
    click.echo(issue(settings, slug, scope, lifetime or settings.access_token_lifetime))


def _migrated(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT to_regclass('tenant')").fetchone() != (None,)


def issue(settings: Settings, slug: str, scope: str, lifetime: int) -> str:
    """An access_token for the tenant ``slug``, in the name of the command line, for ``lifetime`` seconds."""
    return access_token.issue(
        keys.load_or_create(settings.key_file),
        issuer=settings.issuer,
        sub=CLIENT_ID,
        client_id=CLIENT_ID,
        tenant=slug,
        scope=scope,
        lifetime=lifetime,
    )
