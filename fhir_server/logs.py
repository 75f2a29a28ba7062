"""Structured logs on standard error, one JSON object a line, without anything that tells about a patient.

Names, ids, query values and bodies never get in: an event has a constant name and the fields that are declared here,
an exception its type and the places it passed, not its message. https://jsonlines.org/
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any

import msgspec

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_OUR_LOGGERS = ("fhir_server", "hl7_gateway")

_OUTSPOKEN_LOGGERS = ("_granian", "alembic", "gunicorn", "psycopg.pool")
"""Libraries that never see a request's content; what others say is logged as the place that said it."""

_FRAMES = 30
_GATHER_SECONDS = 0.25
_MOST_GATHERED = 500
_releasing = threading.Lock()
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_encode = msgspec.json.Encoder(enc_hook=lambda value: type(value).__name__).encode


class _Output:
    """Where lines go and from which level on; a test, or a process that has its own place for them, changes both."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self.write: Callable[[bytes], object] = lambda line: os.write(2, line)
        self.gathered: deque[bytes] | None = None


output = _Output()


def gather() -> None:
    """Write the lines of answered requests several at a time from now on, four times a second; all others at once.

    A write for each costs a sixth of a read. What kill -9 can take away is a quarter of a second of them.
    """
    if output.gathered is not None:
        return
    output.gathered = deque()
    threading.Thread(target=_release_forever, name="logs", daemon=True).start()
    # The web server's workers end like multiprocessing's children, which run this and no atexit.
    Finalize(None, release, exitpriority=0)
    atexit.register(release)


def release() -> None:
    """Write the lines that were gathered, in the order they came."""
    lines = output.gathered
    if not lines:
        return
    with _releasing:
        chunk: list[bytes] = []
        size = 0
        for _ in range(len(lines)):
            line = lines.popleft()
            if chunk and size + len(line) > select.PIPE_BUF:
                output.write(b"".join(chunk))
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        if chunk:
            output.write(b"".join(chunk))


def _release_forever() -> None:
    while True:
        time.sleep(_GATHER_SECONDS)
        release()


def configure(level: str = "info") -> None:
    """Send this process's logs, uncaught exceptions and the libraries' loggers through this module.

    ``level`` is debug, info, warning or error.
    """
    output.level = LEVELS[level]
    handler = _Handler()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(output.level, logging.WARNING))
    for name in _OUR_LOGGERS:
        logging.getLogger(name).setLevel(output.level)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def event(name: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: object) -> None:
    """Log the event ``name`` with ``fields``, which must hold nothing that a client sent.

    ``error`` is logged by its type and stack locations only.
    """
    if level >= output.level:
        _write(level, name, fields, error)


def request(
    *, request_id: str, tenant: str, method: str, route: str, status: int, microseconds: int, **phases: int
) -> None:
    """Log one answered request: ``route`` is the template (/{type}/{id}), not the URL; ``phases`` are microseconds."""
    if output.level > logging.INFO:
        return
    fields: dict[str, object] = {
        "request_id": request_id,
        "tenant": tenant,
        "method": method,
        "route": route,
        "status": status,
        "microseconds": microseconds,
    }
    if phases:
        fields["phases"] = phases
    gathered = output.gathered
    if gathered is None:
        output.write(_line(logging.INFO, "request", fields, None))
        return
    gathered.append(_line(logging.INFO, "request", fields, None))
    if len(gathered) >= _MOST_GATHERED:
        release()


def describe(error: BaseException, causes: int = 5) -> dict[str, object]:
    """The type of ``error``, the places it passed (file:line function) and the same of what caused it; no values."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    described: dict[str, object] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "stack": [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and causes:
        described["cause"] = describe(cause, causes - 1)
    return described


def _write(level: int, name: str, fields: dict[str, object], error: BaseException | None) -> None:
    release()
    # One write a line, so that the lines of several processes on one stream do not run into each other.
    output.write(_line(level, name, fields, error))


def _line(level: int, name: str, fields: dict[str, object], error: BaseException | None) -> bytes:
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "level": logging.getLevelName(level).lower(),
        "event": name,
        "process": os.getpid(),
        **fields,
    }
    if error is not None:
        line["error"] = describe(error)
    return _encode(line) + b"\n"


def _short(filename: str) -> str:
    for marker in ("/site-packages/", "/lib/python3"):
        _, found, rest = filename.rpartition(marker)
        if found:
            return rest
    return "/".join(filename.split("/")[-4:])


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name}
        top = record.name.partition(".")[0]
        if record.name.startswith(_OUTSPOKEN_LOGGERS):
            fields["message"] = record.getMessage()
        elif top in _OUR_LOGGERS:
            # The constant part alone; values are named as `extra`, where a reader sees what is logged.
            fields["message"] = str(record.msg)
            fields |= {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}
        else:
            fields["place"] = f"{_short(record.pathname)}:{record.lineno}"
        error = record.exc_info[1] if record.exc_info else None
        _write(record.levelno, "library", fields, error)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _write(logging.ERROR, "uncaught", {}, error.with_traceback(trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        thread = arguments.thread.name if arguments.thread else ""
        _write(logging.ERROR, "uncaught", {"thread": thread}, arguments.exc_value)
