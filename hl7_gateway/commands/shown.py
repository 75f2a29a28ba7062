"""How commands show messages, and what they do. docs/hl7.md, "Dead letters" """

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from fhir_server.store.hl7_found import Found
from hl7_gateway.conformance.names import SEGMENTS
from hl7_gateway.replaying import Preview


def time_of(microseconds: int) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def line(found: Found, feeds: Mapping[int, str]) -> str:
    """A message in one line, with tabs between."""
    problem = found.problem or {}
    said = " ".join(str(problem[key]) for key in ("code", "place", "said") if problem.get(key))
    feed = feeds.get(found.feed_id, f"feed {found.feed_id}")
    kind = f"{found.message_type}^{found.event}"
    marks = [mark for mark, holds in (("conflicting", found.conflicting), ("correction", found.replay_of)) if holds]
    return "\t".join((str(found.id), time_of(found.received), feed, kind, found.control_id, found.state, *marks, said))


def segments(text: str, wrong: str, said: str) -> list[str]:
    """The lines of a message with the names of its segments, and what is wrong below the one that it is in."""
    place, _, _ = wrong.partition("-")
    counted: dict[str, int] = {}
    shown = []
    for raw in text.replace("\r\n", "\r").replace("\n", "\r").split("\r"):
        if not raw:
            continue
        name = raw[:3]
        counted[name] = counted.get(name, 0) + 1
        shown.append(f"{SEGMENTS.get(name, ''):26} {raw}")
        own = name if counted[name] == 1 else f"{name}[{counted[name]}]"
        if wrong and own == place:
            shown.append(f"{'':26} ^ {wrong}: {said}")
            wrong = ""
    if wrong or (said and not place):
        shown.append(f"{'':26} ^ {wrong}: {said}" if wrong else f"{'':26} ^ {said}")
    return shown


def shown_preview(outcome: Preview) -> None:
    """What a message would do."""
    if outcome.problem is not None:
        click.echo(f"  would be a dead letter: {outcome.problem.code} {outcome.problem}")
    for name, (gone, new) in outcome.changed.items():
        click.echo(f"  {name}")
        for sign, lines in (("-", gone), ("+", new)):
            for one in lines:
                click.echo(f"    {sign} {one}")
    if not outcome.changed and outcome.problem is None:
        click.echo("  changes nothing")
    for one in outcome.warnings:
        click.echo(f"  warning: {one}")
    for newer in outcome.overtaken:
        click.echo(f"  newer: {newer}")


def shown_warnings(warnings: Mapping[str, Any] | None) -> None:
    """What was not taken over as it was sent."""
    for one in (warnings or {}).get("warnings", ()):
        click.echo(f"warning: {one.get('place', '')}: {one.get('said', '')}")
    unmapped = (warnings or {}).get("unmapped", ())
    if unmapped:
        click.echo(f"not read: {', '.join(unmapped)}")
