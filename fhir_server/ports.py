"""Whether a TCP port is free, asked before anything is started. https://man7.org/linux/man-pages/man7/ip.7.html"""

from __future__ import annotations

import errno
import socket

from fhir_server.settings import ConfigurationError


def check_port(host: str, port: int) -> None:
    """Raises ConfigurationError, with what to do, unless this process could listen on ``host`` and ``port`` now.

    The web server itself shares its port between its processes, so a second server would go unnoticed there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise ConfigurationError(f"HOST must be an address of this machine, and {host!r} cannot be resolved.") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise ConfigurationError(_sentence(error, host, port)) from None


def _sentence(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program: stop that one, or set PORT to another number."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"Port {port} may not be opened by this user: set PORT to a number from 1024 on."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HOST must be an address of this machine, and {host} is not."
    return f"Port {port} on {host} cannot be opened: {error.strerror}."
