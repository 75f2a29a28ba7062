"""One statement, one round trip: the thinnest way to PostgreSQL that the hot paths take.

libpq's prepared statements (https://www.postgresql.org/docs/current/libpq-exec.html#LIBPQ-PQEXECPREPARED) through
psycopg's own
binding (https://www.psycopg.org/psycopg3/docs/api/pq.html), without cursors and row factories: a tenth of their cost.
libpq releases the interpreter while it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

Argument = bytes | None
"""An argument in PostgreSQL's text format, or NULL."""

_OK = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class Statement:
    """A named statement, prepared on each connection when it is first used there.

    ``sql`` has placeholders $1, $2 ...; ``name`` is unique in the process.
    """

    __slots__ = ("name", "sql")

    def __init__(self, name: str, sql: str) -> None:
        self.name = name.encode()
        self.sql = sql.encode()


Asked = tuple[Statement, Sequence[Argument]]
"""A statement with what it is executed with."""


def run(connection: psycopg.Connection, statement: Statement, arguments: Sequence[Argument]) -> pq.abc.PGresult:
    """Execute a prepared statement and return its result; cells are read with ``result.get_value(row, column)``.

    Raises the psycopg error of the statement's SQLSTATE, or psycopg.OperationalError if the connection is lost.
    """
    prepare(connection, statement)
    # psycopg's annotation leaves out that None stands for NULL.
    return _checked(connection, connection.pgconn.exec_prepared(statement.name, arguments))  # type: ignore[arg-type]


def run_binary(
    connection: psycopg.Connection, statement: Statement, arguments: Sequence[bytes], formats: Sequence[int]
) -> pq.abc.PGresult:
    """The same with arguments in the formats that are given for each (1: binary), and cells in the binary format."""
    prepare(connection, statement)
    return _checked(connection, connection.pgconn.exec_prepared(statement.name, arguments, formats, 1))


def prepare(connection: psycopg.Connection, statement: Statement) -> None:
    """Prepare a statement on a connection where it is not yet."""
    prepared = _prepared(connection)
    if statement.name not in prepared:
        _checked(connection, connection.pgconn.prepare(statement.name, statement.sql))
        prepared.add(statement.name)


def _prepared(connection: psycopg.Connection) -> set[bytes]:
    """The names of the statements that are prepared on a connection."""
    prepared: set[bytes] | None = getattr(connection, "_fhir_prepared", None)
    if prepared is None:
        prepared = set()
        connection._fhir_prepared = prepared  # type: ignore[attr-defined]
    return prepared


def run_simple(connection: psycopg.Connection, sql: str) -> pq.abc.PGresult:
    """Execute one or more statements in one message; outside a transaction block they are one transaction together.

    Returns the result of the last one. The text must hold literals only from `literal`.
    """
    return _checked(connection, connection.pgconn.exec_(sql.encode()))


def run_together(connection: psycopg.Connection, statements: Sequence[Asked]) -> list[pq.abc.PGresult]:
    """Execute prepared statements in one round trip, outside a transaction block as one transaction.

    Returns the result of each. Raises as `run` does, for the first that fails; those after it are not executed.
    https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
    """
    prepared = _prepared(connection)
    fresh = {statement.name: statement for statement, _ in statements if statement.name not in prepared}
    link = connection.pgconn
    try:
        link.enter_pipeline_mode()
        for statement in fresh.values():
            link.send_prepare(statement.name, statement.sql)
        for statement, arguments in statements:
            link.send_query_prepared(statement.name, arguments)
        link.pipeline_sync()
        link.flush()
        results = _results(link, len(fresh) + len(statements))
        link.exit_pipeline_mode()
    except BaseException as error:
        # Answers that nobody has read would be taken for those of the next statements.
        connection.close()
        if isinstance(error, psycopg.Error):
            raise psycopg.OperationalError("the connection to the database is lost") from None
        raise
    for name, result in zip(fresh, results, strict=False):
        _checked(connection, result)
        prepared.add(name)
    return [_checked(connection, result) for result in results[len(fresh) :]]


def _results(link: pq.abc.PGconn, number: int) -> list[pq.abc.PGresult]:
    """The results of the statements of a pipeline, up to where it ends. Raises psycopg.OperationalError."""
    found: list[pq.abc.PGresult] = []
    ended = False
    while True:
        result = link.get_result()
        if result is None:
            # One stands behind each statement's results. A second one says that libpq waits for nothing any more, which
            # it tells for ever: it has lost the connection, though it does not always say so in its status.
            if ended or link.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError("the connection to the database is lost")
            ended = True
            continue
        ended = False
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return found[:number]
        found.append(result)


def _checked(connection: psycopg.Connection, result: pq.abc.PGresult) -> pq.abc.PGresult:
    if result.status in _OK:
        return result
    if result.error_field(pq.DiagnosticField.SQLSTATE) is None:
        # What PostgreSQL itself says has one. libpq reports without one that the connection is lost, at times before it
        # knows so itself, and psycopg would call that an error of any kind.
        connection.close()
        raise psycopg.OperationalError("the connection to the database is lost")
    raise error_from_result(result, encoding="utf-8")


def literal(value: object) -> str:
    """A value as a SQL literal, for statements that are planned anew each time so that the planner sees the values.

    Takes int, float, str, bool, None and lists of numbers or of texts. Requires standard_conforming_strings, which is
    checked
    when a connection is opened. Raises ValueError for a NUL character, which PostgreSQL text cannot hold; TypeError for
    other types.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, float):
        return f"'{value!r}'::float8"
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("PostgreSQL text cannot hold a NUL character")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        if all(isinstance(item, str) for item in value):
            return literal(text_array(value).decode())
        if all(isinstance(item, int | float) for item in value):
            return "'" + array(value).decode() + "'"
    raise TypeError(f"no SQL literal for {type(value).__name__}")


def argument(value: int | Sequence[int] | Argument) -> Argument:
    """A number or numbers as an argument of a prepared statement; what is one already stays as it is."""
    if value is None or isinstance(value, bytes):
        return value
    return b"%d" % value if isinstance(value, int) else array(value)


def array(values: Iterable[int] | Iterable[float]) -> bytes:
    """Numbers as an array in PostgreSQL's text format."""
    return ("{" + ",".join(map(str, values)) + "}").encode()


def text_array(values: Iterable[str]) -> bytes:
    """Texts as an array in PostgreSQL's text format. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    quoted = ('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
    return ("{" + ",".join(quoted) + "}").encode()
