"""`hl7-gateway send`: files of messages to a receiver. docs/hl7.md"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import click

from hl7_gateway.commands.receiver import context, receiver_options
from hl7_gateway.problems import Hl7Error
from hl7_gateway.wire.client import Answer, Sender
from hl7_gateway.wire.files import messages

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="\b\nExample:\n  hl7-gateway send --port 2575 admission.hl7 results.hl7")
@receiver_options
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for an answer.")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.pass_context
def send(
    ctx: click.Context,
    host: str,
    port: int,
    secured: bool,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    timeout: float,
    files: tuple[Path, ...],
) -> None:
    """Send the messages in files one after another, and tell what is answered to each.

    A file holds one message, several, a batch, or frames as they were recorded. The exit status is 1 where any was not
    accepted.
    """
    if not asyncio.run(_send(host, port, context(secured, ca, certificate, key), timeout, files)):
        ctx.exit(1)


async def _send(host: str, port: int, tls: ssl.SSLContext | None, timeout: float, files: tuple[Path, ...]) -> bool:
    """Whether all were accepted."""
    accepted = True
    async with Sender(host, port, tls=tls, timeout=timeout) as sender:
        for file in files:
            try:
                found = messages(file.read_bytes())
            except Hl7Error as error:
                click.echo(f"{file}: {error}", err=True)
                accepted = False
                continue
            for message in found:
                try:
                    answer = await sender.send(message)
                except (OSError, Hl7Error, ValueError) as error:
                    click.echo(f"{file}: {error or type(error).__name__}", err=True)
                    return False
                accepted = accepted and (answer is None or answer.accepted)
                click.echo(f"{file.name}: {_line(answer)}")
    return accepted


def _line(answer: Answer | None) -> str:
    if answer is None:
        return "sent; it asks for no acknowledgment"
    told = "; ".join(" ".join(part for part in (one.code, one.place, one.said) if part) for one in answer.complaints)
    return " ".join(part for part in (answer.control_id, answer.code, told or answer.said) if part)
