"""`hl7-gateway feed`: who sends messages, and how they are read. docs/hl7.md, "Feeds" """

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.crypto.hashing import Hasher
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import directory, hl7_feeds, hl7_sequences
from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.session import Database
from hl7_gateway.commands.clinic import Clinic, assignments, clinic, parsed
from hl7_gateway.commands.shown import shown_preview
from hl7_gateway.feed import KEYS, Feed, NotAFeed, parse
from hl7_gateway.feeds import recognise, rival
from hl7_gateway.problems import Hl7Error
from hl7_gateway.reading import header
from hl7_gateway.replaying import preview
from hl7_gateway.stored_maps import loader
from hl7_gateway.wire import files
from hl7_gateway.wire.peer import Peer

_SET = click.option(
    "--set", "words", multiple=True, metavar="KEY=VALUE", help=f"Of {', '.join(KEYS)}. VALUE is JSON or a text; @FILE."
)
_SEQUENCE = click.option(
    "--sequence/--no-sequence", default=None, help="Whether messages are numbered in MSH-13: --set sequence=true."
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(epilog=example("hl7-gateway feed list"))
def feed() -> None:
    """Add, change, pause, test and list feeds; a feed is one sender of one clinic. docs/hl7.md lists the keys."""


@feed.command(epilog=example("hl7-gateway feed add riverside lab --set port=6001 --set zone=America/New_York"))
@click.argument("slug")
@click.argument("name")
@_SET
@_SEQUENCE
def add(slug: str, name: str, words: tuple[str, ...], sequence: bool | None) -> None:
    """Give the clinic SLUG the feed NAME; the gateway takes its messages within a second."""
    configuration = assignments(words)
    if sequence is not None:
        configuration["sequence"] = sequence
    with clinic(slug) as found:
        made = found.usable(FeedRow(found.of.id, slug, 0, name, False, 0, configuration))
        _refuse_rivals(found, made)
        if _within(found, lambda c: hl7_feeds.add(c, found.of.id, name, configuration, _now())) is None:
            raise ConfigurationError(f"{slug} has a feed {name!r} already; `hl7-gateway feed set` changes it.")
    click.echo(f"{slug}/{name}\tadded")


@feed.command(name="set", epilog=example("hl7-gateway feed set riverside lab --set authorities=@authorities.json"))
@click.argument("slug")
@click.argument("name")
@_SET
@_SEQUENCE
def set_(slug: str, name: str, words: tuple[str, ...], sequence: bool | None) -> None:
    """Change keys of the feed NAME; null takes one back. What was received before stays as it was read."""
    with clinic(slug) as found:
        row = found.row(name)
        whole = {**row.configuration, **assignments(words)}
        if sequence is not None:
            whole["sequence"] = sequence
        whole = {key: value for key, value in whole.items() if value is not None}
        _refuse_rivals(found, found.usable(replace(row, configuration=whole)))
        _within(found, lambda c: hl7_feeds.change(c, found.of.id, name, _now(), configuration=whole))
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def _pausing(slug: str, name: str, *, paused: bool) -> None:
    with clinic(slug) as found:
        found.row(name)
        _within(found, lambda c: hl7_feeds.change(c, found.of.id, name, _now(), paused=paused))
    click.echo(f"{slug}/{name}\t{'paused' if paused else 'resumed'}")


@feed.command(epilog=example("hl7-gateway feed pause riverside lab"))
@click.argument("slug")
@click.argument("name")
def pause(slug: str, name: str) -> None:
    """Let messages of the feed NAME wait: they are received and acknowledged, and not converted."""
    _pausing(slug, name, paused=True)


@feed.command(epilog=example("hl7-gateway feed resume riverside lab"))
@click.argument("slug")
@click.argument("name")
def resume(slug: str, name: str) -> None:
    """Convert what waits, and what comes, of the feed NAME."""
    _pausing(slug, name, paused=False)


@feed.command(epilog=example("hl7-gateway feed remove riverside lab"))
@click.argument("slug")
@click.argument("name")
def remove(slug: str, name: str) -> None:
    """Remove the feed NAME; its messages stay, and those that wait become dead letters."""
    with clinic(slug) as found:
        found.row(name)
        _within(found, lambda c: hl7_feeds.remove(c, found.of.id, name))
    click.echo(f"{slug}/{name}\tremoved")


@feed.command(epilog=example("hl7-gateway feed number riverside lab --expect 4711"))
@click.argument("slug")
@click.argument("name")
@click.option(
    "--expect", type=click.IntRange(-1, 10**15 - 1), help="From now on this number, or with -1 whichever comes next."
)
def number(slug: str, name: str, expect: int | None) -> None:
    """Tell which number (MSH-13) the next message of the feed NAME must have, -1: any; or say which.

    A link is frozen where both sides disagree, until somebody has looked what is missing.
    """
    with clinic(slug) as found:
        made = parsed(found.row(name))
        if not made.sequence:
            raise ConfigurationError(f"{made.label} does not number its messages; `hl7-gateway feed set --sequence`.")
        if expect == 0:
            raise ConfigurationError("0 is no number of a message; numbers count from 1, and -1 is any.")
        if expect is not None:
            _within(found, lambda c: hl7_sequences.expect(c, found.of.id, made.id, expect))
        due = _within(found, lambda c: hl7_sequences.expected(c, found.of.id, made.id))
    click.echo(f"{made.label}\t{due}")


@feed.command(name="list", epilog=example("hl7-gateway feed list riverside"))
@click.argument("slug", required=False)
def list_(slug: str | None) -> None:
    """List feeds: clinic/name, whether it is paused or cannot be used, and its configuration, with tabs between."""
    settings = Settings.from_env()
    with database(settings) as urls:
        pool = Database(urls.app, 1)
        pool.open()
        try:
            maps = loader(pool, Hasher(directory.hash_key(pool)), full_text=settings.full_text)
            for row in pool.run(lambda c: hl7_feeds.listed(c), read_only=True):
                if slug in (None, row.slug):
                    said = json.dumps(row.configuration, ensure_ascii=False)
                    click.echo(f"{row.slug}/{row.name}\t{_state(row, maps)}\t{said}")
        finally:
            pool.close()


def _state(row: FeedRow, maps: Callable[[Feed], Feed]) -> str:
    try:
        wanting = maps(parse(row)).mapping.wanting
    except NotAFeed as error:
        return f"cannot be used: {error}"
    if wanting:
        return f"its messages wait: {'; '.join(wanting)}"
    return "paused" if row.paused else "on"


@feed.command(epilog=example("hl7-gateway feed test riverside lab admission.hl7"))
@click.argument("slug")
@click.argument("name")
@click.argument("file", type=_FILE)
@click.option("--address", default="127.0.0.1", show_default=True, help="The sender's address.")
@click.option("--certificate", default="", help="The fingerprint of the sender's certificate.")
@click.pass_context
def test(ctx: click.Context, slug: str, name: str, file: Path, address: str, certificate: str) -> None:
    """Tell what the messages of FILE would do if they came by the feed NAME; nothing is stored.

    The exit status is 1 where one would be a dead letter, or be of another feed.
    """
    try:
        found = files.messages(file.read_bytes())
        peer = Peer(str(ip_address(address)), 0, certificate.replace(":", "").lower())
    except (Hl7Error, ValueError) as error:
        raise ConfigurationError(str(error)) from None
    good = True
    with clinic(slug) as opened:
        tested = opened.feed(name)
        for number, raw in enumerate(found, 1):
            click.echo(f"{file.name}[{number}]")
            good = _recognised(opened, tested, raw, peer) and good
            outcome = preview(opened.store, opened.desk, tested, 0, raw)
            shown_preview(outcome)
            good = good and outcome.problem is None
    if not good:
        ctx.exit(1)


def _recognised(opened: Clinic, tested: Feed, raw: bytes, peer: Peer) -> bool:
    own = opened.of.settings.mllp_port
    feeds = []
    with opened.of.database.connection() as connection:
        for row in hl7_feeds.listed(connection):
            try:
                feeds.append(parse(row))
            except NotAFeed:
                continue
    known = recognise(feeds, peer, tested.port or own, own, header(raw))
    if known is not None and known.id == tested.id:
        return True
    said = "no feed" if known is None or known.tenant_id != tested.tenant_id else f"the feed {known.name!r}"
    click.echo(f"  would be of {said}: port, certificate, application, facility and networks tell feeds apart")
    return False


def _refuse_rivals(found: Clinic, made: Feed) -> None:
    others = []
    with found.of.database.connection() as connection:
        for row in hl7_feeds.listed(connection):
            try:
                others.append(parse(row))
            except NotAFeed:
                continue
    other = rival(made, others)
    if other is not None:
        whose = f"The feed {other.name!r}" if other.tenant_id == made.tenant_id else "A feed of another clinic"
        raise ConfigurationError(
            f"{whose} asks for the same port, certificate, application, facility and networks: "
            "no message could be told to be of either."
        )


def _within(found: Clinic, work: Any) -> Any:
    return found.of.database.transaction(found.of.id, work)


def _now() -> int:
    return time.time_ns() // 1000
