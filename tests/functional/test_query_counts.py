"""How often each path asks PostgreSQL, and that Server-Timing names where the time went: neither grows unnoticed.

Round trips are counted in libpq's own trace of the wire, so that nothing can go around the count: each ends with one
ReadyForQuery. https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from tests.functional.conftest import Answer, Api

PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "Counted"}],
    "identifier": [{"system": "urn:s", "value": "1"}],
}
PATIENT |= {"gender": "female", "birthDate": "1970-01-01", "address": [{"city": "Bern"}]}
_READY = re.compile(rb"^\S* ?\S*\tB\t\d+\tReadyForQuery", re.MULTILINE)


class RoundTrips:
    """Counts what was asked of PostgreSQL while a request was answered."""

    def __init__(self, trace: Callable[[], bytes]) -> None:
        self._trace = trace

    def __call__(self, request: Callable[[], Answer]) -> tuple[int, Answer]:
        """The number of round trips of one request, and its answer."""
        before = len(_READY.findall(self._trace()))
        answer = request()
        return len(_READY.findall(self._trace())) - before, answer


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Iterator[RoundTrips]:
    """A counter over every connection that is taken out of the pool during this test."""
    with tempfile.TemporaryFile() as file:
        getconn, traced = ConnectionPool.getconn, {}

        def traced_getconn(self: Any, *arguments: Any, **named: Any) -> psycopg.Connection:
            connection: psycopg.Connection = getconn(self, *arguments, **named)
            if id(connection) not in traced:
                traced[id(connection)] = connection
                connection.pgconn.trace(file.fileno())
            return connection

        def read() -> bytes:
            for connection in traced.values():
                # libpq buffers what it writes; ending the trace flushes it.
                connection.pgconn.untrace()
                connection.pgconn.trace(file.fileno())
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), size, 0)

        monkeypatch.setattr(ConnectionPool, "getconn", traced_getconn)
        yield RoundTrips(read)
        for connection in traced.values():
            if not connection.closed:
                connection.pgconn.untrace()


def phases(answer: Answer) -> list[str]:
    """The names in Server-Timing, each with its duration in milliseconds. https://www.w3.org/TR/server-timing/"""
    parts = answer.headers["Server-Timing"].split(", ")
    found = [re.fullmatch(r"([a-z]+);dur=[0-9]+\.[0-9]{2}", part) for part in parts]
    assert all(found)
    return [match[1] for match in found if match]


def bundle(kind: str, count: int, resource: dict[str, Any] = PATIENT) -> dict[str, Any]:
    entries = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{n:012d}",
            "resource": resource,
            "request": {"method": "POST", "url": "Patient"},
        }
        for n in range(count)
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


@pytest.fixture
def one(api: Api) -> Api:
    """A tenant with Patient/1, whose every path was gone once: statements are prepared, tenants remembered."""
    assert api.put("Patient/1", PATIENT | {"id": "1"}).status == 201
    for path in ("Patient/1", "Patient/1/_history/1", "Patient/1/_history", "Patient?name=counted"):
        # The pool may hold two connections, which take turns.
        for _ in range(2):
            assert api.get(path).status == 200
    assert api.put("Patient/2", PATIENT | {"id": "2"}).status == 201
    assert api.delete("Patient/2").status == 204
    assert api.post("", bundle("transaction", 2)).status == 200
    return api


WRITE = ["authenticate", "parse", "decide", "validate", "index", "sql", "serialise"]
SEARCH = ["authenticate", "parse", "decide", "compile", "sql", "serialise"]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "trips", "named"),
    [
        ("GET", "Patient/1", None, {}, 200, 1, ["authenticate", "decide", "sql", "serialise"]),
        ("GET", "Patient/1", None, {"If_None_Match": 'W/"1"'}, 304, 1, ["authenticate", "decide", "sql", "serialise"]),
        ("GET", "Patient/none", None, {}, 404, 1, ["authenticate", "decide", "sql", "serialise"]),
        ("GET", "Patient/1/_history/1", None, {}, 200, 1, ["authenticate", "decide", "sql", "serialise"]),
        ("GET", "Patient/1/_history", None, {}, 200, 1, ["authenticate", "parse", "decide", "sql", "serialise"]),
        ("POST", "Patient", PATIENT, {}, 201, 1, WRITE),
        ("PUT", "Patient/1", PATIENT | {"id": "1"}, {}, 200, 1, WRITE),
        ("PUT", "Patient/1", PATIENT | {"id": "1"}, {"If_Match": 'W/"1"'}, 200, 1, WRITE),
        ("PUT", "Patient/new", PATIENT | {"id": "new"}, {}, 201, 1, WRITE),
        ("DELETE", "Patient/1", None, {}, 204, 1, ["authenticate", "decide", "sql", "serialise"]),
        ("GET", "Patient?name=counted", None, {}, 200, 1, SEARCH),
        ("GET", "Patient?_id=1", None, {}, 200, 1, SEARCH),
        ("GET", "Patient?_count=1", None, {}, 200, 1, SEARCH),
        ("GET", "Patient?name=counted&_summary=count", None, {}, 200, 1, SEARCH),
        ("GET", "Patient?name=counted&_count=1&_total=accurate", None, {}, 200, 2, SEARCH),
        ("GET", "Patient?general-practitioner.name=x&_has:Observation:patient:code=x", None, {}, 200, 1, SEARCH),
        # The resources without a value to sort by are looked for where those that have one do not fill the page.
        ("GET", "Patient?_sort=family&_count=1", None, {}, 200, 1, SEARCH),
        ("GET", "Patient?_sort=family", None, {}, 200, 2, SEARCH),
        ("GET", "Patient?_sort=-_lastUpdated", None, {}, 200, 1, SEARCH),
        ("GET", "Patient?_include=Patient:organization", None, {}, 200, 2, [*SEARCH, "includes"]),
        ("GET", "Patient?_include=*&_revinclude=Observation:subject", None, {}, 200, 2, [*SEARCH, "includes"]),
        ("GET", "Patient?name=nobody&_include=Patient:organization", None, {}, 200, 1, SEARCH),
        ("GET", "?_type=Patient,Observation&_count=1", None, {}, 200, 1, SEARCH),
        ("GET", "?_count=1", None, {}, 200, 2, SEARCH),
        ("GET", "Patient/1/Observation?code=x", None, {}, 200, 1, SEARCH),
        ("GET", "Patient/1/*", None, {}, 200, 2, SEARCH),
        ("GET", "metadata", None, {}, 200, 0, ["authenticate", "serialise"]),
        (
            "POST",
            "Patient",
            {"resourceType": "Patient", "gender": "x"},
            {},
            422,
            0,
            ["authenticate", "parse", "decide", "serialise"],
        ),
        ("GET", "Patient?nonsense=1", None, {}, 400, 0, ["authenticate", "parse", "decide", "serialise"]),
        ("GET", "Patient/1", None, {"Authorization": "Bearer x"}, 401, 0, ["serialise"]),
        ("POST", "Patient", PATIENT, {"If_None_Exist": "identifier=urn:s|new"}, 201, 5, [*WRITE, "compile"]),
        (
            "POST",
            "Patient",
            PATIENT,
            {"If_None_Exist": "_id=1"},
            200,
            4,
            ["authenticate", "parse", "decide", "compile", "sql", "serialise"],
        ),
    ],
)
def test_round_trips_and_phases(
    one: Api,
    count: RoundTrips,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    trips: int,
    named: list[str],
) -> None:
    counted, answer = count(lambda: one(method, path, body, **headers))
    assert answer.status == status, answer.data
    assert counted == trips
    assert sorted(phases(answer)) == sorted(named)


def test_a_transaction_takes_as_many_whatever_its_size(one: Api, count: RoundTrips) -> None:
    few, answer = count(lambda: one.post("", bundle("transaction", 5)))
    assert answer.status == 200
    assert few <= 6
    assert sorted(phases(answer)) == sorted(
        ["authenticate", "parse", "decide", "validate", "index", "sql", "serialise"]
    )
    for size in (50, 500):
        assert count(lambda size=size: one.post("", bundle("transaction", size)))[0] == few  # type: ignore[misc]


def test_references_between_entries_take_none(one: Api, count: RoundTrips) -> None:
    few, _ = count(lambda: one.post("", bundle("transaction", 5)))
    linked = bundle("transaction", 200)
    for entry in linked["entry"][1:]:
        entry["resource"] = PATIENT | {
            "link": [{"type": "seealso", "other": {"reference": linked["entry"][0]["fullUrl"]}}]
        }
    many, answer = count(lambda: one.post("", linked))
    assert answer.status == 200
    assert many == few


def test_a_batch_takes_one_for_each_entry(one: Api, count: RoundTrips) -> None:
    for size in (3, 30):
        many, answer = count(lambda size=size: one.post("", bundle("batch", size)))  # type: ignore[misc]
        assert answer.status == 200
        assert many <= size


def test_pages_cost_the_same(one: Api, count: RoundTrips) -> None:
    assert one.post("", bundle("transaction", 60)).status == 200
    path = "Patient?name=counted&_count=20"
    for _ in range(3):
        trips, answer = count(lambda path=path: one.get(path))  # type: ignore[misc]
        assert trips == 1
        path = next(link["url"] for link in answer.json["link"] if link["relation"] == "next").rpartition("/")[2]


def test_a_new_tenant_is_looked_up_once(api: Api, count: RoundTrips) -> None:
    first, answer = count(lambda: api.get("Patient?name=counted"))
    assert (first, answer.status) == (2, 200)
    assert count(lambda: api.get("Patient?name=counted"))[0] == 1
