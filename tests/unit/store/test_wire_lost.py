"""A server that says good-bye and is gone before anybody asks it for something.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fhir_server.store.wire import Statement, run, run_simple

ONE = Statement("test_lost_one", "SELECT 1")
GOOD_BYE = b"SWARNING\0VWARNING\0C57P02\0Mterminating connection because of crash of another server process\0\0"


def _said(kind: bytes, content: bytes) -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


@pytest.fixture
def left(tmp_path: Path) -> Iterator[psycopg.Connection]:
    """A connection to a server that has told why it ends, as PostgreSQL does when one of its sessions is killed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / ".s.PGSQL.5432"))
        listener.listen()

        connected = threading.Event()

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(_said(b"R", bytes(4)) + _said(b"Z", b"I"))
                connected.wait()
                link.sendall(_said(b"N", GOOD_BYE))

        server = threading.Thread(target=serve)
        server.start()
        with psycopg.connect(f"host={tmp_path} port=5432 user=a dbname=a", autocommit=True) as connection:
            connected.set()
            server.join()
            yield connection


def test_a_statement_finds_the_connection_lost(left: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        run_simple(left, "SELECT 1")
    assert left.closed


def test_a_prepared_statement_does(left: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        run(left, ONE, ())
    assert left.closed
