"""`hl7-gateway alerts`: what somebody has to know of feeds. docs/hl7.md, "Alerts" """

from __future__ import annotations

import contextlib
import getpass
import time
from collections.abc import Iterator
from functools import partial

import click

from fhir_server.commands.clinic import clinic
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.errors import FhirError
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import directory, hl7_alerts
from fhir_server.store.hl7_alerts import Alert
from fhir_server.store.session import Connection, Database
from hl7_gateway.alerts import sentence
from hl7_gateway.commands.shown import time_of

_MOST = 1_000


@click.group(invoke_without_command=True, epilog=example("hl7-gateway alerts list riverside --all"))
@click.pass_context
def alerts(ctx: click.Context) -> None:
    """List the open alerts of all clinics; or list others, or acknowledge them."""
    if ctx.invoked_subcommand is None:
        _list(None, everything=False)


@alerts.command(name="list", epilog=example("hl7-gateway alerts list riverside --all"))
@click.argument("slug", required=False)
@click.option("--all", "everything", is_flag=True, help="Those that were cleared too, the newest thousand.")
def list_(slug: str | None, everything: bool) -> None:
    """List alerts: number, clinic/feed, condition, since when, its state, what it says, with tabs between."""
    _list(slug, everything=everything)


@alerts.command(epilog=example("hl7-gateway alerts acknowledge riverside 12"))
@click.argument("slug")
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.option("--by", default="", metavar="NAME", help="Who has seen it, unless the user who runs this.")
def acknowledge(slug: str, number: int | None, everything: bool, by: str) -> None:
    """Say that somebody has seen the alert NUMBER of SLUG; it stays open as long as its reason is there."""
    if (number is None) != everything:
        raise click.UsageError("There must be a number, or --all.")
    name = by or _user()
    with clinic(slug) as found:
        at = time.time_ns() // 1_000
        done = found.database.transaction(
            found.id, lambda c: hl7_alerts.acknowledge(c, found.id, number, name[:200], at)
        )
    if number is not None and not done:
        raise ConfigurationError(f"{slug} has no open alert {number} that nobody has acknowledged.")
    click.echo(f"{done} acknowledged")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _list(slug: str | None, *, everything: bool) -> None:
    with _opened() as pool:
        tenants = [one for one in directory.all_tenants(pool) if slug in (None, one[0])]
        if slug is not None and not tenants:
            raise ConfigurationError(f"There is no tenant {slug!r}; `fhir-server tenant list` shows them.")
        for name, tenant_id in tenants:
            for alert in pool.transaction(tenant_id, partial(_listed, tenant_id, everything)):
                click.echo(_line(name, alert))


@contextlib.contextmanager
def _opened() -> Iterator[Database]:
    with database(Settings.from_env()) as urls:
        pool = Database(urls.app, 1)
        pool.open()
        try:
            yield pool
        except FhirError as error:
            raise ConfigurationError(error.issues[0].diagnostics) from None
        finally:
            pool.close()


def _listed(tenant_id: int, everything: bool, connection: Connection) -> list[Alert]:
    return hl7_alerts.listed(connection, tenant_id, all_of_them=everything, most=_MOST)


def _line(slug: str, alert: Alert) -> str:
    state = "open"
    if alert.cleared:
        state = f"cleared {time_of(alert.cleared)}"
    elif alert.acknowledged:
        state = f"acknowledged {time_of(alert.acknowledged)} by {alert.acknowledged_by}"
    said = (str(alert.id), f"{slug}/{alert.feed}", alert.condition, time_of(alert.raised), state, sentence(alert))
    return "\t".join(said)
