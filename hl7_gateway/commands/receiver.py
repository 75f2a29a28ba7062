"""Options of commands that send: to whom, and over TLS or not. https://click.palletsprojects.com/"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hl7_gateway.wire import tls

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def receiver_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --host, --port, and what TLS needs."""
    for option in reversed(
        (
            click.option("--host", default="127.0.0.1", show_default=True, help="The receiver."),
            click.option("--port", type=click.IntRange(1, 65535), default=2575, show_default=True, help="Its port."),
            click.option("--tls", "secured", is_flag=True, help="Over TLS."),
            click.option("--ca", type=_FILE, help="The authority of its certificate, as PEM; implies --tls."),
            click.option("--certificate", type=_FILE, help="Our own certificate, for mutual TLS; implies --tls."),
            click.option("--key", type=_FILE, help="Its key, unless it is in the same file."),
        )
    ):
        command = option(command)
    return command


def context(secured: bool, ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS where any of the options asks for it."""
    return tls.client(ca, certificate, key) if secured or ca or certificate else None
