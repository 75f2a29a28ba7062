from __future__ import annotations

import socket

import pytest

from fhir_server.ports import check_port
from fhir_server.settings import ConfigurationError


def test_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} on 127.0.0.1 is taken"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_port_shared_by_another_server_counts_as_taken() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigurationError, match="is taken"):
            check_port("127.0.0.1", other.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_host_must_be_an_address_of_this_machine(host: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST must be an address of this machine"):
        check_port(host, 8080)
