"""`hl7-gateway send`: files of messages to a receiver. docs/hl7.md"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import click

from hl7_gateway.problems import Hl7Error
from hl7_gateway.wire import tls as tls_contexts
from hl7_gateway.wire.client import Answer, Sender
from hl7_gateway.wire.files import messages

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="\b\nExample:\n  hl7-gateway send --port 2575 admission.hl7 results.hl7")
@click.option("--host", default="127.0.0.1", show_default=True, help="The receiver.")
@click.option("--port", type=click.IntRange(1, 65535), default=2575, show_default=True, help="Its port.")
@click.option("--tls", "secured", is_flag=True, help="Over TLS.")
@click.option("--ca", type=_FILE, help="The authority of the receiver's certificate, as PEM; implies --tls.")
@click.option("--certificate", type=_FILE, help="Our own certificate, as PEM, for mutual TLS; implies --tls.")
@click.option("--key", type=_FILE, help="Its key, unless it is in the same file.")
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
    context = tls_contexts.client(ca, certificate, key) if secured or ca or certificate else None
    if not asyncio.run(_send(host, port, context, timeout, files)):
        ctx.exit(1)


async def _send(host: str, port: int, context: ssl.SSLContext | None, timeout: float, files: tuple[Path, ...]) -> bool:
    """Whether all were accepted."""
    accepted = True
    async with Sender(host, port, tls=context, timeout=timeout) as sender:
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
