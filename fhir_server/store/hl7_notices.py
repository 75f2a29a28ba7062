"""What PostgreSQL tells of messages as it happens. https://www.postgresql.org/docs/current/sql-notify.html"""

from __future__ import annotations

import selectors
from collections.abc import Iterator

import psycopg
from psycopg import sql

from fhir_server.store.session import Database

Lost = psycopg.Error
"""The connection was lost: what was told meanwhile is not known."""


def notices(database: Database, channel: str, seconds: float) -> Iterator[list[str] | None]:
    """What is told on a channel, over a connection of its own: None once it listens, then lists of payloads.

    A list is empty where nothing came for ``seconds``. Without end; raises Lost.
    """
    with database.connect_apart() as connection:
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        yield None
        with selectors.DefaultSelector() as selector:
            selector.register(connection.pgconn.socket, selectors.EVENT_READ)
            while True:
                selector.select(seconds)
                # Raises where the connection is lost, which makes its socket readable as well.
                connection.pgconn.consume_input()
                yield [one.extra.decode() for one in iter(connection.pgconn.notifies, None)]
