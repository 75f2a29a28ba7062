"""`fhir-server tenant`: create, limit and list tenants (clinics). docs/architecture.md, "Rows"."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from fhir_server.authn import clinic_settings
from fhir_server.commands.clinic import clinic
from fhir_server.commands.database import owner_connection
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import tenants


@click.group(name="tenant", epilog=example("fhir-server tenant list"))
def command() -> None:
    """Create, limit and list tenants; a tenant is one clinic with its own data and base URL."""


@command.command(epilog=example('fhir-server tenant create lakeside --name "Lakeside Clinic"'))
@click.argument("slug")
@click.option("--name", default="", help="The clinic's name, for people; SLUG unless given.")
def create(slug: str, name: str) -> None:
    """Create the tenant SLUG: a label of its host name, made of a-z, 0-9 and -."""
    settings = Settings.from_env()
    with owner_connection(settings) as connection:
        tenant = tenants.create(connection, slug, name)
    click.echo(f"{tenant.slug}\t{settings.public_url}/t/{tenant.slug}/fhir")


@command.command(epilog=example("fhir-server tenant limit lakeside --search-timeout 3000"))
@click.argument("slug")
@click.option(
    "--search-timeout",
    "milliseconds",
    type=int,
    required=True,
    help="How many milliseconds a search of the clinic may take; 0 goes back to SEARCH_TIMEOUT_MS.",
)
def limit(slug: str, milliseconds: int) -> None:
    """Limit what the tenant SLUG may ask of the server; web processes follow within half a minute."""
    with owner_connection(Settings.from_env()) as connection:
        tenants.set_search_timeout(connection, slug, milliseconds or None)
    click.echo(f"{slug}\t{milliseconds or 'default'}")


@command.command(name="list", epilog=example("fhir-server tenant list | cut -f1"))
def list_() -> None:
    """List the tenants: slug, name, time of creation and the milliseconds of a search, with tabs between them."""
    with owner_connection(Settings.from_env()) as connection:
        for tenant in tenants.listed(connection):
            limit = tenant.search_timeout_ms or "default"
            click.echo(f"{tenant.slug}\t{tenant.name}\t{tenant.created:%Y-%m-%dT%H:%M:%SZ}\t{limit}")


@command.command(
    epilog=example("""fhir-server tenant settings lakeside --set 'registration="open"' --set session_idle_minutes=30""")
)
@click.argument("slug")
@click.option("--set", "changes", multiple=True, metavar="NAME=JSON", help="Change a setting; null takes it back.")
def settings(slug: str, changes: tuple[str, ...]) -> None:
    """Show what the tenant SLUG has set for signing in and for apps, and change it; docs/people.md lists all of it."""
    given: dict[str, Any] = {}
    for change in changes:
        name, separator, text = change.partition("=")
        try:
            given[name] = json.loads(text)
        except ValueError:
            separator = ""
        if not separator:
            raise click.UsageError(f"--set takes NAME=JSON, such as registration='\"open\"', not {name[:60]!r}.")
    if "demo_people" in given:
        raise ConfigurationError("demo_people is set by the demo clinics alone.")
    with clinic(slug) as opened:
        if given:
            kept = clinic_settings.write(opened.database, opened.id, given, opened.sealer)
        else:
            kept = clinic_settings.read(opened.database, opened.id)
    for name, value in asdict(kept).items():
        shown = {**value, "client_secret": "(sealed)"} if name == "upstream" and value else value
        click.echo(f"{name}\t{json.dumps(shown)}")
