"""`fhir-server keys`: the keys that the server signs with. docs/keys.md"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from fhir_server.authn import key_ring
from fhir_server.authn.key_ring import ES256, RS256, KeyRing, Kind
from fhir_server.commands.example import example
from fhir_server.settings import Settings
from fhir_server.smart import id_token


@click.group(name="keys", epilog=example("fhir-server keys list"))
def command() -> None:
    """Show the keys that the server signs with, and replace them."""


def _rings(settings: Settings) -> list[tuple[str, Path, Kind, int]]:
    longest = max(settings.access_token_lifetime, 31_536_000 if not settings.production else 0)
    return [
        ("access_token", settings.key_file, ES256, longest),
        ("id_token", settings.identity_keys, RS256, id_token.LIFETIME),
    ]


@command.command(name="list", epilog=example("fhir-server keys list"))
def list_() -> None:
    """List the keys, with tabs between: what they sign, algorithm, key id, state, since when they sign."""
    for name, path, kind, _ in _rings(Settings.from_env()):
        ring = KeyRing(path, kind)
        signing = ring.signing.kid
        for one in ring.members:
            state = "signs" if one.kid == signing else "verifies" if one.since <= time.time() else "announced"
            since = datetime.fromtimestamp(one.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if one.since else "-"
            click.echo("\t".join((name, kind.algorithm, one.kid, state, since)))


@command.command(epilog=example("fhir-server keys rotate"))
@click.option(
    "--after",
    type=click.IntRange(0, 86_400),
    default=key_ring.ANNOUNCED_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long the new keys are published before they sign.",
)
def rotate(after: int) -> None:
    """Add a new key of each kind, and drop those that nothing unexpired is signed with."""
    for name, path, kind, longest in _rings(Settings.from_env()):
        kid, dropped = key_ring.rotate(path, kind, int(time.time()), longest, after)
        click.echo("\t".join((name, kind.algorithm, kid, *(f"dropped {one}" for one in dropped))))
