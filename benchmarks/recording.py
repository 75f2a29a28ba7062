"""The SQL that the server runs for a request, recorded from the product's own application in this process.

So the floor of a search is what the server sends to PostgreSQL to the letter, later pages and includes too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import pq
from werkzeug.test import Client

from benchmarks.wire import FHIR_JSON, Target
from fhir_server.app import FhirServer, create_app
from fhir_server.settings import Settings
from fhir_server.store import searching, wire


class Recorder:
    """Asks the application for a path and tells the statements that it ran."""

    def __init__(self, app: FhirServer) -> None:
        self._client = Client(app)
        self.statements: list[str] = []

    def run_simple(self, connection: psycopg.Connection, sql: str) -> pq.abc.PGresult:
        """Stands in for store.wire.run_simple."""
        self.statements.append(sql)
        return wire.run_simple(connection, sql)

    def of(self, target: Target, path: str) -> list[str]:
        """The statements of GET [base]/path, their values written into them."""
        self.statements.clear()
        url = f"{target.path}{'' if path.startswith('?') or not path else '/'}{path}"
        base = f"http://{target.host}:{target.port}"
        answer = self._client.get(url, base_url=base, headers={**dict(target.headers), "Accept": FHIR_JSON})
        if answer.status_code >= 400:
            raise ValueError(f"{path}: {answer.status_code} {answer.get_data()[:300].decode(errors='replace')}")
        return list(self.statements)


@contextmanager
def recorder(environment: Mapping[str, str]) -> Iterator[Recorder]:
    """An application over the database that the settings name, for the length of the block; it logs errors only."""
    app = create_app(Settings.from_env({**environment, "LOG_LEVEL": "error"}))
    found = Recorder(app)
    searching.run_simple = found.run_simple  # type: ignore[attr-defined]
    try:
        yield found
    finally:
        searching.run_simple = wire.run_simple  # type: ignore[attr-defined]
        app.database.close()
