"""The floor of a read: a bare WSGI application that runs one prepared SELECT and answers the body. https://peps.python.org/pep-3333/

No routing, no access_token, no decision, no headers, no log. The tenant is set once for each connection.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

SELECT = b"SELECT meta::text, body::text FROM resource WHERE tenant_id = $1 AND key = $2"
_local = threading.local()


def _connection() -> psycopg.pq.PGconn:
    found: psycopg.pq.PGconn | None = getattr(_local, "connection", None)
    if found is None:
        connection = psycopg.connect(os.environ["APP_DATABASE_URL"], autocommit=True)
        connection.execute("SELECT set_config('fhir.tenant', %s, false)", [os.environ["FLOOR_TENANT"]])
        _local.owner = connection
        found = _local.connection = connection.pgconn
        found.prepare(b"floor", SELECT)
    return found


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """GET /KEY answers the body of the resource whose key that is."""
    path: str = environ["PATH_INFO"]
    if path == "/ready":
        start_response("200 OK", [("Content-Length", "0")])
        return ()
    result = _connection().exec_prepared(b"floor", [os.environb[b"FLOOR_TENANT"], path[1:].encode()])
    body = result.get_value(0, 1) if result.ntuples else None
    if body is None:
        start_response("404 Not Found", [("Content-Length", "0")])
        return ()
    start_response("200 OK", [("Content-Type", "application/fhir+json"), ("Content-Length", str(len(body)))])
    return (body,)
