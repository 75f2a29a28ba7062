"""`hl7-gateway score` and `compare`: what a mapping leaves out, what another would change. docs/hl7-overrides.md"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError
from fhir_server.store import hl7_found, hl7_score
from fhir_server.store.hl7_found import Wanted
from fhir_server.store.hl7_messages import STORED
from hl7_gateway.commands.clinic import Clinic, clinic
from hl7_gateway.commands.maps import maps_option, of_files
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion
from hl7_gateway.feed import Feed
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.overrides.concept_maps import loaded
from hl7_gateway.overrides.difference import difference
from hl7_gateway.overrides.reading import NotAMapping, read
from hl7_gateway.problems import Refused
from hl7_gateway.reading import Read
from hl7_gateway.reading import read as read_message
from hl7_gateway.stored_maps import of_clinic

_LAST = click.IntRange(1, 100_000)


@click.command(epilog=example("hl7-gateway score riverside lab"))
@click.argument("slug")
@click.argument("name")
@click.option("--last", type=_LAST, default=1_000, show_default=True, help="Of so many of its newest messages.")
def score(slug: str, name: str, last: int) -> None:
    """Tell how much of what the feed NAME of the clinic SLUG sends is mapped, and which fields are not."""
    with clinic(slug) as found:
        row = found.row(name)
        told = found.of.database.transaction(found.of.id, lambda c: hl7_score.score(c, found.of.id, row.id, last))
    click.echo(
        f"{told.mapped:.1%} of {told.bytes_received:,} bytes mapped, in {told.messages:,} messages; "
        f"{told.warned:,} of them with warnings"
    )
    for field, messages in told.fields:
        click.echo(f"{field}\t{messages}")


@click.command(epilog=example("hl7-gateway compare riverside lab lab.toml --last 100"))
@click.argument("slug")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--last", type=_LAST, default=100, show_default=True, help="With so many of its newest messages.")
@maps_option
def compare(slug: str, name: str, file: Path, last: int, maps: tuple[Path, ...]) -> None:
    """Tell what the mapping in FILE would make of the newest messages of a feed, beside what its mapping makes of them.

    Nothing is stored. What it shows is of patients. A ConceptMap in a file stands for the one that is stored.
    """
    try:
        changes = read(file.read_text(encoding="utf-8"))
    except (NotAMapping, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be used: {error}.") from None
    differing = messages = 0
    with clinic(slug) as found:
        feed = found.feed(name)
        lookup = of_files(maps, of_clinic(found.desk.tenant, found.store, name))
        after = loaded(replace(feed.mapping, overrides=changes, wanting=(), consulted={}), lookup)
        if after.wanting:
            raise ConfigurationError(f"{file} cannot be used: {'; '.join(after.wanting)}.")
        for number, message in _newest(found, feed, last):
            messages += 1
            told = _differences(message, feed.mapping, after)
            if told:
                differing += 1
                click.echo(f"message {number}")
                for line in told:
                    click.echo(f"  {line}")
    click.echo(f"{differing} of {messages} messages would come to something else")


def _newest(found: Clinic, feed: Feed, last: int) -> list[tuple[int, Message]]:
    number = found.of.id
    wanted = Wanted(feed_id=feed.id, state=STORED)
    listed = found.of.database.transaction(number, lambda c: hl7_found.listed(c, number, wanted, last))
    messages = []
    for one in listed:
        whole = found.of.database.transaction(number, partial(hl7_found.whole, tenant_id=number, number=one.id))
        told = read_message(feed, whole.raw) if whole is not None else None
        if isinstance(told, Read) and told.message is not None:
            messages.append((one.id, told.message))
    return messages


def _differences(message: Message, before: FeedMapping, after: FeedMapping) -> list[str]:
    one, other = _said(message, before), _said(message, after)
    if isinstance(one, str) or isinstance(other, str):
        return [] if one == other else [f"- {_word(one)}", f"+ {_word(other)}"]
    found = difference(one, other)
    return [*(f"- {line}" for line in found.gone), *(f"+ {line}" for line in found.new)]


def _said(message: Message, mapping: FeedMapping) -> Conversion | str:
    try:
        return convert(message, mapping)
    except Refused as problem:
        return f"refused: {problem}"


def _word(said: Conversion | str) -> str:
    return said if isinstance(said, str) else "converted"
