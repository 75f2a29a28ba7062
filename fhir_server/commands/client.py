"""`fhir-server client`: the apps and services of a clinic. docs/smart.md, "Clients" """

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fhir_server.commands.clinic import clinic
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError
from fhir_server.smart import clients
from fhir_server.smart.client import CODE, CREDENTIALS, EXCHANGE, METHODS, REFRESH
from fhir_server.smart.registration import MetadataRefused
from fhir_server.store.oauth_clients import ACTIVE, DISABLED

OPERATOR = "the operator"


@click.group(name="client", epilog=example("fhir-server client list --tenant riverside"))
def command() -> None:
    """Add apps and services, approve those that registered themselves, shut them out."""


@command.command(
    epilog=example(
        "fhir-server client create --tenant riverside --name 'Growth Chart' --redirect-uri https://app.example.org/cb"
    )
)
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option("--name", required=True, help="What people see.")
@click.option("--method", type=click.Choice(METHODS), default="none", show_default=True, help="How it shows who it is.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, metavar="URL", help="Where people are sent back to.")
@click.option("--launch-uri", default="", metavar="URL", help="Where the app starts when it is opened by the clinic.")
@click.option("--scope", default="", help="The most that it can be granted; empty: what people may give.")
@click.option("--jwks-uri", default="", metavar="URL", help="Where its public keys are, for private_key_jwt.")
@click.option("--jwks", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file with them instead.")
@click.option("--exchange", is_flag=True, help="It may exchange access_tokens for narrower ones.")
@click.option("--introspect", is_flag=True, help="It may ask about every token of the clinic, as a resource server.")
def create(
    slug: str,
    name: str,
    method: str,
    redirect_uris: tuple[str, ...],
    launch_uri: str,
    scope: str,
    jwks_uri: str,
    jwks: Path | None,
    exchange: bool,
    introspect: bool,
) -> None:
    """Add a client; prints its client_id, and its client_secret where it has one, which is not shown again."""
    services = "system/" in scope
    grants = [CODE, REFRESH] if redirect_uris else []
    grants += ([CREDENTIALS] if services else []) + ([EXCHANGE] if exchange else [])
    metadata: dict[str, Any] = {
        "client_name": name,
        "token_endpoint_auth_method": method,
        "redirect_uris": list(redirect_uris),
        "grant_types": grants or [CODE],
        "scope": scope,
        "initiate_login_uri": launch_uri,
        "jwks_uri": jwks_uri,
    }
    if jwks is not None:
        try:
            metadata["jwks"] = json.loads(jwks.read_text())
        except ValueError:
            raise ConfigurationError(f"{jwks} holds no JSON.") from None
    with clinic(slug) as opened:
        try:
            made = clients.create(opened.database, opened.id, metadata, OPERATOR, introspect=introspect)
        except MetadataRefused as error:
            raise ConfigurationError(str(error)) from None
    click.echo("\t".join(filter(None, (made.client.id, made.client_secret))))


@command.command(name="list", epilog=example("fhir-server client list --tenant riverside"))
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
def list_(slug: str) -> None:
    """List clients, with tabs between: client_id, state, method, name, scope."""
    with clinic(slug) as opened:
        for one in clients.listed(opened.database, opened.id):
            click.echo("\t".join((one.id, one.state, one.method, one.name, one.scope or "-")))


@command.command(epilog=example("fhir-server client approve --tenant riverside 7f0c..."))
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.argument("client_id")
def approve(slug: str, client_id: str) -> None:
    """Let a client in that has registered itself, or that was shut out."""
    _set_state(slug, client_id, ACTIVE)


@command.command(epilog=example("fhir-server client disable --tenant riverside 7f0c..."))
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.argument("client_id")
def disable(slug: str, client_id: str) -> None:
    """Shut a client out; everything that was issued to it ends at once."""
    _set_state(slug, client_id, DISABLED)


@command.command(epilog=example("fhir-server client delete --tenant riverside 7f0c..."))
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.argument("client_id")
def delete(slug: str, client_id: str) -> None:
    """Forget a client; everything that was issued to it ends at once."""
    with clinic(slug) as opened:
        if not clients.remove(opened.database, opened.id, slug, client_id):
            raise _none(client_id)


@command.command(
    name="initial-access-token",
    epilog=example("fhir-server client initial-access-token --tenant riverside --uses 5 --days 30"),
)
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option("--uses", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many clients.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How long it is good.")
def initial_access_token(slug: str, uses: int, days: int) -> None:
    """Print a token with which clients can register themselves where the clinic asks for one."""
    with clinic(slug) as opened:
        click.echo(clients.initial_access_token(opened.database, opened.id, uses, days, OPERATOR))


def _set_state(slug: str, client_id: str, state: str) -> None:
    with clinic(slug) as opened:
        if not clients.set_state(opened.database, opened.id, slug, client_id, state, OPERATOR):
            raise _none(client_id)


def _none(client_id: str) -> ConfigurationError:
    return ConfigurationError(f"There is no client {client_id!r}; `fhir-server client list` shows them.")
