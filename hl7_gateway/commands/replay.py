"""`hl7-gateway replay` and `drop`: what becomes of dead letters. docs/hl7.md, "Dead letters" """

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError
from fhir_server.store import hl7_found
from fhir_server.store.hl7_found import Found, Replay, Wanted
from fhir_server.store.hl7_messages import DEAD
from fhir_server.store.session import Connection
from hl7_gateway.commands.clinic import Clinic, clinic
from hl7_gateway.commands.messages import filters, wanted, whole
from hl7_gateway.commands.shown import shown_preview
from hl7_gateway.problems import Malformed
from hl7_gateway.replaying import NotOneMessage, preview
from hl7_gateway.replaying import replay as prepared
from hl7_gateway.wire import files

_TOGETHER = 100


@click.command(epilog=example("hl7-gateway replay riverside 4711 --corrected 4711.hl7 --preview"))
@click.argument("slug")
@click.argument("numbers", type=int, nargs=-1, metavar="[NUMBER]...")
@filters
@click.option("--all", "every", is_flag=True, help="Every dead letter that the options find.")
@click.option(
    "--corrected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is to be converted in place of the one message; the dead letter stays as it came, and is dropped.",
)
@click.option("--preview", "previewed", is_flag=True, help="Tell what would change, and change nothing.")
@click.option("--over-newer", is_flag=True, help="Also those that would change what later messages have said.")
def replay(
    slug: str,
    numbers: tuple[int, ...],
    every: bool,
    corrected: Path | None,
    previewed: bool,
    over_newer: bool,
    **chosen: Any,
) -> None:
    """Have dead letters of the clinic SLUG converted again, with the mapping that their feeds have now.

    Those that would put something old in place of what a later message has said are told, and left.
    """
    if bool(numbers) == every:
        raise ConfigurationError("Name the numbers of dead letters, or --all for every one that the options find.")
    if corrected is not None and len(numbers) != 1:
        raise ConfigurationError("--corrected is for one message.")
    with clinic(slug) as found:
        raw = _correction(corrected) if corrected is not None else None
        count = left = 0
        for some in _chunks(found, numbers, chosen):
            if previewed:
                _show(found, some, raw)
                continue
            going = some if over_newer else _not_overtaken(found, some, raw)
            left += len(some) - len(going)
            count += _replay(found, going, raw) if going else 0
    if not previewed:
        click.echo(f"{count} to be converted again")
    if left:
        click.echo(f"{left} left as they are: --preview shows what is newer, --over-newer converts them all the same")


@click.command(epilog=example("hl7-gateway drop riverside 4711 --reason 'sent by their test system'"))
@click.argument("slug")
@click.argument("numbers", type=int, nargs=-1, required=True, metavar="NUMBER...")
@click.option("--reason", default="", help="Why they are not needed; it stays with them.")
def drop(slug: str, numbers: tuple[int, ...], reason: str) -> None:
    """Close dead letters of the clinic SLUG for good; they can still be found and shown."""
    with clinic(slug) as found:
        gone = found.of.database.transaction(found.of.id, partial(_dropped, found, numbers, reason))
    for number in numbers:
        click.echo(f"{number}\t{'dropped' if number in gone else 'is no dead letter'}")


def _correction(file: Path) -> bytes:
    try:
        found = files.messages(file.read_bytes())
    except Malformed as error:
        raise ConfigurationError(str(error)) from None
    if len(found) != 1:
        raise ConfigurationError(f"{file} must hold one message, and holds {len(found)}.")
    return found[0]


def _chunks(found: Clinic, numbers: tuple[int, ...], chosen: dict[str, Any]) -> Iterator[list[Found]]:
    """Dead letters, the oldest of each hundred first, since later ones build on them."""
    asked = wanted(found, **chosen, state=DEAD)
    if numbers:
        asked = Wanted(state=DEAD, ids=numbers)
    ids = [one.id for one in _listed(found, asked, 1_000_000)]
    for number in numbers:
        if number not in ids:
            raise ConfigurationError(f"{number} is no dead letter of {found.of.slug}.")
    ids.sort()
    for start in range(0, len(ids), _TOGETHER):
        some = tuple(ids[start : start + _TOGETHER])
        yield sorted(_listed(found, Wanted(state=DEAD, ids=some), _TOGETHER), key=lambda one: one.id)


def _listed(found: Clinic, asked: Wanted, most: int) -> list[Found]:
    return found.of.database.transaction(found.of.id, lambda c: hl7_found.listed(c, found.of.id, asked, most))


def _show(found: Clinic, some: list[Found], raw: bytes | None) -> None:
    for one in some:
        click.echo(str(one.id))
        content = raw if raw is not None else whole(found, one.id).raw
        found.record("hl7-preview", messages=(one.id,), patient_ids=found.patients_in(one.feed_id, content))
        shown_preview(preview(found.store, found.desk, found.numbered(one.feed_id), one.id, content))


def _not_overtaken(found: Clinic, some: list[Found], raw: bytes | None) -> list[Found]:
    """Those that would change nothing that a later message has said; the others are told."""
    going = []
    for one in some:
        content = raw if raw is not None else whole(found, one.id).raw
        newer = preview(found.store, found.desk, found.numbered(one.feed_id), one.id, content).overtaken
        if newer:
            click.echo(f"{one.id}\twould change what is newer: {newer[0]}")
        else:
            going.append(one)
    return going


def _replay(found: Clinic, some: list[Found], raw: bytes | None) -> int:
    try:
        asked = [prepared(found.numbered(one.feed_id), found.hasher, whole(found, one.id), raw) for one in some]
    except NotOneMessage as error:
        raise ConfigurationError(str(error)) from None
    patients: tuple[str, ...] = ()
    if len(some) == 1:
        # Of many at once no patients are named, as by the page for many.
        patients = found.patients_in(some[0].feed_id, raw if raw is not None else whole(found, some[0].id).raw)
    return found.of.database.transaction(found.of.id, partial(_queued, found, asked, patients))


def _queued(found: Clinic, asked: list[Replay], patients: tuple[str, ...], connection: Connection) -> int:
    now = time.time_ns() // 1000
    done: dict[int, int] = {}
    for one in asked:
        number = hl7_found.replay(connection, found.of.id, one, now)
        if number is not None:
            done[one.id] = number
    if done:
        corrected = {str(before): after for before, after in done.items() if before != after}
        named = tuple(sorted({*done, *done.values()}))
        found.record_in(connection, "hl7-replay", messages=named, patient_ids=patients, detail=corrected)
    return len(done)


def _dropped(found: Clinic, numbers: tuple[int, ...], reason: str, connection: Connection) -> list[int]:
    gone = hl7_found.drop(connection, found.of.id, numbers, time.time_ns() // 1000, reason)
    if gone:
        found.record_in(connection, "hl7-drop", messages=tuple(gone), reason=reason)
    return gone
