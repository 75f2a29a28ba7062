"""`hl7-gateway simulate`: a hospital that admits, moves, examines and discharges. docs/hl7.md"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import click

from hl7_gateway.commands.receiver import context, receiver_options
from hl7_gateway.problems import Hl7Error
from hl7_gateway.simulator.hospital import messages
from hl7_gateway.wire.client import Answer, Sender

_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to reach a receiver that is not there; the last one again and again."""


@click.command(epilog="\b\nExample:\n  hl7-gateway simulate --port 2575 --rate 0.5")
@receiver_options
@click.option("--rate", type=click.FloatRange(0), default=1.0, show_default=True, help="Messages a second; 0: at once.")
@click.option(
    "--seed", type=click.IntRange(0), help="The same seed and start tell the same story; random unless given."
)
@click.option("--count", type=click.IntRange(0), default=0, help="How many messages; without end unless given.")
@click.option("--beds", type=click.IntRange(1, 10_000), default=40, show_default=True, help="How large it is.")
@click.option("--start", type=click.DateTime(), help="When the story begins, UTC; now unless given.")
def simulate(
    host: str,
    port: int,
    secured: bool,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    rate: float,
    seed: int | None,
    count: int,
    beds: int,
    start: datetime | None,
) -> None:
    """Send what a hospital would send that does not exist: 60% ADT, 25% ORU, 15% SIU and MDM.

    Its patients have names that nobody has. A receiver that is not there yet is waited for.
    """
    seed = secrets.randbelow(100_000) if seed is None else seed
    begin = start.replace(tzinfo=UTC) if start else datetime.now(UTC).replace(microsecond=0)
    story = messages(seed, beds, begin)
    told = islice(story, count) if count else story
    click.echo(f"A hospital of {beds} beds sends to {host}:{port}; its seed is {seed}.")
    counted: Counter[str] = Counter()
    try:
        asyncio.run(_send(host, port, context(secured, ca, certificate, key), told, rate, counted))
    finally:
        click.echo(", ".join(f"{number} {code}" for code, number in sorted(counted.items())) or "nothing was sent")


async def _send(
    host: str, port: int, tls: ssl.SSLContext | None, told: Iterator[bytes], rate: float, counted: Counter[str]
) -> None:
    due = time.monotonic()
    async with Sender(host, port, tls=tls) as sender:
        for message in told:
            answer = await _deliver(sender, message)
            counted[answer.code if answer is not None else "without an answer"] += 1
            if answer is not None and not answer.accepted:
                click.echo(f"{answer.control_id} {answer.code} {answer.said}".rstrip(), err=True)
            if rate:
                # Behind by more than a second it does not catch up: the receiver decides how fast it is.
                due = max(due + 1 / rate, time.monotonic() - 1)
                await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _deliver(sender: Sender, message: bytes) -> Answer | None:
    """The answer, however long the receiver takes to be there: a message is not left out, as the next builds on it."""
    attempt = 0
    while True:
        try:
            return await sender.send(message)
        except (OSError, Hl7Error) as error:
            if attempt == 0:
                click.echo(f"waiting for the receiver: {error or type(error).__name__}", err=True)
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1
