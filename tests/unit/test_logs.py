from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server import logs


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    written: list[dict[str, Any]] = []
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook, logs.output.level)

    def write(line: bytes) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        written.append(json.loads(line))

    monkeypatch.setattr(logs.output, "write", write)
    logs.configure("info")
    yield written
    root.handlers[:], root.level, sys.excepthook, threading.excepthook, logs.output.level = before


def test_request_is_one_line_with_the_declared_fields(lines: list[dict[str, Any]]) -> None:
    logs.request(
        request_id="r1", tenant="riverside", method="GET", route="/{type}/{id}", status=200, microseconds=350, sql=120
    )
    (line,) = lines
    assert {name: line[name] for name in ("level", "event", "request_id", "tenant", "method", "route", "status")} == {
        "level": "info",
        "event": "request",
        "request_id": "r1",
        "tenant": "riverside",
        "method": "GET",
        "route": "/{type}/{id}",
        "status": 200,
    }
    assert line["phases"] == {"sql": 120}
    assert line["time"].endswith("+00:00")


def test_events_below_the_level_are_not_written(lines: list[dict[str, Any]]) -> None:
    logs.event("detail", level=logging.DEBUG)
    logs.event("note")
    logs.configure("error")
    logs.event("note")
    logs.request(request_id="", tenant="", method="GET", route="/", status=200, microseconds=1)
    logs.event("trouble", level=logging.ERROR)
    assert [line["event"] for line in lines] == ["note", "trouble"]


def _fail() -> None:
    try:
        raise KeyError("Müller")
    except KeyError as error:
        raise ValueError("patient Müller, born 1970-01-01") from error


def test_exception_tells_type_and_places_but_no_values(lines: list[dict[str, Any]]) -> None:
    try:
        _fail()
    except ValueError as error:
        logs.event("failed", level=logging.ERROR, error=error)
    (line,) = lines
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["cause"]["type"] == "KeyError"
    assert line["error"]["stack"][-1].endswith(" _fail")
    assert "Müller" not in json.dumps(line, ensure_ascii=False)


def test_uncaught_exceptions_are_logged_without_values(lines: list[dict[str, Any]]) -> None:
    try:
        _fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    thread = threading.Thread(target=_fail, name="worker-thread")
    thread.start()
    thread.join()
    assert [line["event"] for line in lines] == ["uncaught", "uncaught"]
    assert lines[1]["thread"] == "worker-thread"
    assert "Müller" not in json.dumps(lines, ensure_ascii=False)


def test_library_that_may_see_values_is_logged_by_place_only(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("somelibrary.sql").warning("statement failed: %s", "Müller")
    (line,) = lines
    assert line["logger"] == "somelibrary.sql"
    assert "test_logs.py:" in line["place"]
    assert "Müller" not in json.dumps(line, ensure_ascii=False)


def test_own_logger_gives_its_constant_message_and_its_extra(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("fhir_server.store").warning("lost %s", "Müller", extra={"sqlstate": "57P01"})
    (line,) = lines
    assert (line["message"], line["sqlstate"]) == ("lost %s", "57P01")
    assert "Müller" not in json.dumps(line, ensure_ascii=False)


def test_message_cannot_forge_a_line(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("psycopg.pool").warning('broken\n{"event": "forged"}')
    assert [line["event"] for line in lines] == ["library"]


def test_gathered_lines_come_soon_in_order_and_before_other_events(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(logs.output, "write", written.append)
    monkeypatch.setattr(logs.output, "gathered", None)
    monkeypatch.setattr(logs.output, "level", logging.INFO)
    logs.gather()
    for number in range(100):
        logs.request(request_id=f"r{number}", tenant="", method="GET", route="/", status=200, microseconds=1)
    logs.event("something else")
    lines = b"".join(written).splitlines()
    assert [json.loads(line).get("request_id") for line in lines] == [*(f"r{n}" for n in range(100)), None]
    assert len(written) < 20
    assert all(len(chunk) <= 4096 for chunk in written)
    logs.request(request_id="last", tenant="", method="GET", route="/", status=200, microseconds=1)
    deadline = time.monotonic() + 10
    while b"last" not in written[-1] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert b"last" in written[-1]
