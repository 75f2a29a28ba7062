"""`hl7-gateway messages`: find messages and show them. docs/hl7.md, "Dead letters" """

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError
from fhir_server.store import hl7_found
from fhir_server.store.hl7_found import Wanted, Whole
from fhir_server.store.hl7_messages import DEAD, DROPPED, RECEIVED, STORED
from hl7_gateway import answers
from hl7_gateway.commands.clinic import Clinic, clinic
from hl7_gateway.commands.shown import line, segments, shown_warnings, time_of
from hl7_gateway.patients import patient_hash
from hl7_gateway.wire import charset

STATES = (RECEIVED, STORED, DEAD, DROPPED)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options by which messages are found."""
    for option in reversed(
        (
            click.option("--feed", "feed_name", help="Of this feed."),
            click.option("--control-id", default="", help="MSH-10."),
            click.option("--patient", metavar="SYSTEM|NUMBER", help="An identifier of a patient, as in FHIR."),
            click.option("--type", "message_type", default="", help="MSH-9.1, as in ADT."),
            click.option("--event", default="", help="The trigger event, as in A01."),
            click.option("--since", type=click.DateTime(), help="When it came, UTC."),
            click.option("--until", type=click.DateTime(), help="Before this time, UTC."),
        )
    ):
        command = option(command)
    return command


def wanted(
    found: Clinic,
    feed_name: str | None,
    control_id: str,
    patient: str | None,
    message_type: str,
    event: str,
    since: datetime | None,
    until: datetime | None,
    state: str,
) -> Wanted:
    """What those options say. Raises ConfigurationError."""
    whom = None
    if patient is not None:
        system, separator, number = patient.rpartition("|")
        if not separator:
            raise ConfigurationError("--patient must be SYSTEM|NUMBER, as in urn:oid:1.2.3|4711.")
        whom = (patient_hash(found.hasher, system, number),)
    return Wanted(
        found.row(feed_name).id if feed_name else None,
        control_id,
        message_type.upper(),
        event.upper(),
        state,
        whom,
        _microseconds(since),
        _microseconds(until),
    )


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.replace(tzinfo=UTC).timestamp() * 1_000_000)


def whole(found: Clinic, number: int) -> Whole:
    """A message with its content. Raises ConfigurationError."""
    one = found.of.database.transaction(found.of.id, lambda c: hl7_found.whole(c, found.of.id, number))
    if one is None:
        raise ConfigurationError(f"There is no message {number} in {found.of.slug}.")
    return one


@click.group(epilog=example("hl7-gateway messages list riverside --state dead"))
def messages() -> None:
    """Find messages and show them; what is shown holds what was sent, names of patients too."""


@messages.command(name="list", epilog=example("hl7-gateway messages list riverside --state dead --feed lab"))
@click.argument("slug")
@filters
@click.option("--state", type=click.Choice(STATES), default=None, help="received is what waits; dead, a dead letter.")
@click.option("--before", type=int, help="Older than the message of this number.")
@click.option("--count", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
def list_(slug: str, state: str | None, before: int | None, count: int, **chosen: Any) -> None:
    """List messages of the clinic SLUG, the newest first: number, time, feed, event, control id, state, problem."""
    with clinic(slug) as found:
        asked = wanted(found, **chosen, state=state or "")
        if before is not None:
            asked = replace(asked, before=before)
        names = {row.id: row.name for row in found.rows}
        _told(found, chosen, state)
        rows = found.of.database.transaction(found.of.id, lambda c: hl7_found.listed(c, found.of.id, asked, count))
    for row in rows:
        click.echo(line(row, names))


def _told(found: Clinic, chosen: Mapping[str, Any], state: str | None) -> None:
    """Have the audit trail know what is looked for, and whose messages."""
    asked = "&".join(f"{name}={value}" for name, value in {**chosen, "state": state}.items() if value)
    patient = chosen.get("patient")
    found.record("hl7-search", query=f"GET messages?{asked}", patient_ids=found.known(patient) if patient else ())


@messages.command(epilog=example("hl7-gateway messages show riverside 4711"))
@click.argument("slug")
@click.argument("number", type=int)
@click.option("--raw", is_flag=True, help="Nothing but the message, byte by byte, to be corrected and replayed.")
def show(slug: str, number: int, raw: bool) -> None:
    """Show the message NUMBER of the clinic SLUG, with the names of its segments and its problem where it is."""
    with clinic(slug) as found:
        one = whole(found, number)
        names = {row.id: row.name for row in found.rows}
        found.record("hl7-read", messages=(number,), patient_ids=found.patients_in(one.found.feed_id, one.raw))
    if raw:
        click.echo(one.raw, nl=False)
        return
    click.echo(line(one.found, names))
    settled = time_of(one.found.settled) if one.found.settled else "not yet"
    click.echo(f"settled: {settled}; attempts: {one.found.attempts}; mapping: {one.map_version or 'the standard one'}")
    problem = one.found.problem or {}
    text = charset.decode(one.raw, charset.declared(one.raw), "UNICODE UTF-8", "replace")
    for shown in segments(text, problem.get("place", ""), problem.get("said", "")):
        click.echo(shown)
    shown_warnings(one.warnings)
    for part in answers.parts(one.acknowledgment):
        click.echo("answered: " + part.decode("utf-8", "replace").rstrip("\r").replace("\r", "\n          "))
