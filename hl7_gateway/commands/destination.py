"""`hl7-gateway destination`: systems that are told what changes, and what they were told. docs/hl7-outbound.md"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import click

from fhir_server import logs
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import hl7_destinations, hl7_feeds, hl7_outbound
from fhir_server.store.hl7_destinations import DestinationRow
from fhir_server.store.hl7_outbound import DEAD, SENT, SKIPPED, WAITING, Entry
from fhir_server.store.reading import now
from fhir_server.store.session import Connection, Database
from hl7_gateway.commands.clinic import Clinic, assignments, clinic
from hl7_gateway.commands.shown import segments, time_of
from hl7_gateway.lint import lint
from hl7_gateway.message import Message
from hl7_gateway.outbound import process
from hl7_gateway.outbound.building.sources import Impossible, Untold
from hl7_gateway.outbound.destination import Destination, parsed
from hl7_gateway.outbound.preparing import previewed
from hl7_gateway.outbound.rules import KEYS, NotADestination
from hl7_gateway.outbound.shelf import Shelf

T = TypeVar("T")

_STATES = (WAITING, SENT, DEAD, SKIPPED)


_SET = click.option(
    "--set", "words", multiple=True, metavar="KEY=VALUE", help=f"Of {', '.join(KEYS)}. JSON, a text, or @FILE."
)
_RULES = click.option(
    "--rule", "rules", multiple=True, metavar="RESOURCE[:WHEN]", help="Tell of these, where WHEN is true of them."
)


@click.group(epilog=example("hl7-gateway destination list riverside"))
def destination() -> None:
    """Add, test, pause, list destinations: systems that are told what changes. docs/hl7-outbound.md has the keys."""


@destination.command(
    epilog=example("hl7-gateway destination add riverside his --set host=his.example --set port=2575 --rule Patient")
)
@click.argument("slug")
@click.argument("name")
@_SET
@_RULES
@click.option("--feed", "feed_name", default="", help="The feed that the same system sends by: it is not told its own.")
def add(slug: str, name: str, words: tuple[str, ...], rules: tuple[str, ...], feed_name: str) -> None:
    """Give the clinic SLUG the destination NAME. It is told what changes from now on."""
    configuration = assignments(words)
    if rules:
        configuration["rules"] = [*configuration.get("rules", []), *map(_rule, rules)]
    with clinic(slug) as found:
        made = _usable(DestinationRow(found.of.id, slug, 0, name, False, 0, 0, configuration))
        feed_id = found.row(feed_name).id if feed_name else 0
        types = made.configuration.types
        added = _within(
            found, lambda c: hl7_destinations.add(c, found.of.id, name, types, configuration, now(), feed_id)
        )
        if added is None:
            raise ConfigurationError(f"{slug} has a destination {name!r} already.")
    click.echo(f"{slug}/{name}\tadded")


def _rule(text: str) -> dict[str, str]:
    resource, _, when = text.partition(":")
    return {"resource": resource, "when": when}


@destination.command(name="set", epilog=example("hl7-gateway destination set riverside his --set port=2576"))
@click.argument("slug")
@click.argument("name")
@_SET
@_RULES
def set_(slug: str, name: str, words: tuple[str, ...], rules: tuple[str, ...]) -> None:
    """Change keys of the destination NAME; null takes one back. With --rule, its rules are these from now on."""
    with clinic(slug) as found:
        row = _row(found, name)
        whole = {**row.configuration, **assignments(words)}
        if rules:
            whole["rules"] = [*map(_rule, rules)]
        whole = {key: value for key, value in whole.items() if value is not None}
        types = _usable(replace(row, configuration=whole)).configuration.types
        _within(found, lambda c: hl7_destinations.configure(c, found.of.id, name, types, whole, now()))
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


@destination.command(name="list", epilog=example("hl7-gateway destination list"))
@click.argument("slug", required=False)
def list_(slug: str | None) -> None:
    """List destinations: clinic/name, its state, its feed, its rows by state, its configuration, with tabs between."""
    with database(Settings.from_env()) as urls:
        pool = Database(urls.app, 1)
        pool.open()
        try:
            with pool.connection() as connection:
                rows = [row for row in hl7_destinations.listed(connection) if slug in (None, row.slug)]
                feeds = {(one.tenant_id, one.id): one.name for one in hl7_feeds.listed(connection)}
            for row in rows:
                click.echo("\t".join(_listed(pool, row, feeds.get((row.tenant_id, row.feed_id), "-"))))
        finally:
            pool.close()


def _listed(pool: Database, row: DestinationRow, feed: str) -> list[str]:
    state = "paused" if row.paused else "on"
    try:
        parsed(row).tls()
    except NotADestination as error:
        state = f"cannot be used: {error}"
    counted = pool.transaction(row.tenant_id, lambda c: hl7_outbound.counts(c, row.tenant_id, row.id))
    rows = ", ".join(f"{counted[state]} {state}" for state in _STATES if state in counted) or "nothing yet"
    return [f"{row.slug}/{row.name}", state, feed, rows, json.dumps(row.configuration, ensure_ascii=False)]


@destination.command(epilog=example("hl7-gateway destination test riverside his Patient/123"))
@click.argument("slug")
@click.argument("name")
@click.argument("resource", required=False, metavar="[TYPE/ID]")
@click.pass_context
def test(ctx: click.Context, slug: str, name: str, resource: str | None) -> None:
    """Connect to the destination NAME, and show the message that would tell of a resource; nothing is sent.

    The exit status is 1 where it cannot be reached, or no message can be made.
    """
    with clinic(slug) as found:
        tested = _usable(_row(found, name))
        good = resource is None or _preview(found, tested, resource)
    try:
        asyncio.run(_reached(tested))
    except OSError as error:
        click.echo(f"{tested.configuration.host}:{tested.configuration.port}\tcannot be reached: {error}")
        good = False
    else:
        click.echo(f"{tested.configuration.host}:{tested.configuration.port}\treached")
    if not good:
        ctx.exit(1)


def _preview(found: Clinic, tested: Destination, path: str) -> bool:
    kind, _, number = path.partition("/")
    base_url = f"{found.of.settings.public_url}/t/{found.of.slug}/fhir"
    shelf = Shelf(found.of.database, found.hasher, tested, base_url)
    try:
        made = previewed(kind, number, tested, shelf, now())
    except (Untold, Impossible) as reason:
        click.echo(f"{path}\tis not told: {reason}")
        return False
    text = made.raw.decode()
    for line in segments(text, "", ""):
        click.echo(line)
    for one in lint(Message(text)):
        click.echo(f"{one.severity} {one.place}: {one.said}")
    return True


async def _reached(tested: Destination) -> None:
    one = tested.configuration
    async with asyncio.timeout(one.timeout):
        _, writer = await asyncio.open_connection(one.host, one.port, ssl=tested.tls())
    writer.close()


def _pausing(slug: str, name: str, *, paused: bool) -> None:
    with clinic(slug) as found:
        _row(found, name)
        _within(found, lambda c: hl7_destinations.pause(c, found.of.id, name, now(), paused=paused))
    click.echo(f"{slug}/{name}\t{'paused' if paused else 'resumed'}")


@destination.command(epilog=example("hl7-gateway destination pause riverside his"))
@click.argument("slug")
@click.argument("name")
def pause(slug: str, name: str) -> None:
    """Send nothing to the destination NAME; what changes meanwhile waits."""
    _pausing(slug, name, paused=True)


@destination.command(epilog=example("hl7-gateway destination resume riverside his"))
@click.argument("slug")
@click.argument("name")
def resume(slug: str, name: str) -> None:
    """Send what waits, and what comes, to the destination NAME."""
    _pausing(slug, name, paused=False)


@destination.command(epilog=example("hl7-gateway destination remove riverside his"))
@click.argument("slug")
@click.argument("name")
def remove(slug: str, name: str) -> None:
    """Remove the destination NAME; what waits for it is not sent, what it was told stays on record."""
    with clinic(slug) as found:
        _row(found, name)
        _within(found, lambda c: hl7_destinations.remove(c, found.of.id, name, now()))
    click.echo(f"{slug}/{name}\tremoved")


@destination.command(epilog=example("hl7-gateway destination outbox riverside his --state dead"))
@click.argument("slug")
@click.argument("name")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Those only; any number of times.")
@click.option("--most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest only.")
@click.option("--messages", "whole", is_flag=True, help="With the messages themselves.")
def outbox(slug: str, name: str, states: tuple[str, ...], most: int, whole: bool) -> None:
    """List what the destination NAME was told, is to be told, or refused."""
    with clinic(slug) as found:
        row = _row(found, name)
        entries = _within(found, lambda c: hl7_outbound.listed(c, row.tenant_id, row.id, states or _STATES, most))
    for one in entries:
        click.echo(_line(one))
        for text in segments((one.message or b"").decode(), "", "") if whole else ():
            click.echo(f"  {text}")


def _line(one: Entry) -> str:
    problem = one.problem or {}
    said = [str(problem[key]) for key in ("code", "said") if problem.get(key)]
    for complaint in problem.get("complaints", ()):
        said += [str(complaint[key]) for key in ("code", "place", "said") if complaint.get(key)]
    what = f"{one.resource_type}/{one.resource_id}/_history/{one.version}"
    words = [str(one.id), time_of(one.created), what, one.event or "-", one.control_id or "-", one.state]
    return "\t".join([*words, f"attempts: {one.attempts}", " ".join(said)]).rstrip()


@destination.command(epilog=example("hl7-gateway destination resend riverside his 4711 4712"))
@click.argument("slug")
@click.argument("name")
@click.argument("numbers", nargs=-1, type=int, metavar="[NUMBER...]")
@click.option("--all", "every", is_flag=True, help="All that are dead.")
def resend(slug: str, name: str, numbers: tuple[int, ...], every: bool) -> None:
    """Send messages again that the destination NAME has refused: the same bytes, under the same control id."""
    if every == bool(numbers):
        raise click.UsageError("Name messages by their numbers, or all of them by --all.")
    with clinic(slug) as found:
        row = _row(found, name)
        dead = _within(found, lambda c: hl7_outbound.dead(c, row.tenant_id, row.id))
        chosen = [number for number in dead if every or number in numbers]
        again = _within(found, lambda c: hl7_outbound.resend(c, row.tenant_id, chosen))
    for number in again:
        click.echo(f"{number}\twaits")
    missing = sorted(set(numbers) - set(again))
    if missing:
        raise ConfigurationError(f"Not dead letters of {slug}/{name}: {', '.join(map(str, missing))}.")


@destination.command(epilog=example("hl7-gateway destination send"))
def send() -> None:
    """Send to the destinations of all clinics, until told to stop. Any number of processes may."""
    settings = Settings.from_env()
    logs.configure(settings.log_level)
    with database(settings, patient=True) as urls:
        process.run(settings, urls.app)


def _row(found: Clinic, name: str) -> DestinationRow:
    for row in found.of.database.transaction(found.of.id, lambda c: hl7_destinations.listed(c, found.of.id)):
        if row.name == name:
            return row
    raise ConfigurationError(
        f"There is no destination {name!r} in {found.of.slug}; `hl7-gateway destination list` shows them."
    )


def _usable(row: DestinationRow) -> Destination:
    try:
        made = parsed(row)
        made.tls()
    except NotADestination as error:
        raise ConfigurationError(f"The destination {row.name!r} cannot be used: {error}") from None
    return made


def _within(found: Clinic, work: Callable[[Connection], T]) -> T:
    return found.of.database.transaction(found.of.id, work)
