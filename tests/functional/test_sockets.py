"""HTTP as bytes on a socket: what is malformed, cut off or slow harms nobody else, and a connection stays usable.
https://www.rfc-editor.org/rfc/rfc9112"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from typing import Any

import pytest

from tests.functional.live import Live

PATIENT = json.dumps({"resourceType": "Patient", "name": [{"family": "x" * 2000}]}).encode()


class Wire:
    """One connection, spoken to in bytes; answers are read by their own lengths, so that what is left over shows."""

    def __init__(self, live: Live, seconds: float = 10) -> None:
        self.live = live
        self.socket = socket.create_connection(("127.0.0.1", live.port), timeout=seconds)
        self._rest = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: Any) -> None:
        self.socket.close()

    def send(self, line: str, *headers: str, body: bytes = b"") -> None:
        """A request whose path "@" stands for the tenant's base."""
        lines = [
            line.replace("@", self.live.base),
            "Host: localhost",
            f"Authorization: Bearer {self.live.access_token}",
        ]
        self.socket.sendall("\r\n".join([*lines, *headers]).encode("latin-1") + b"\r\n\r\n" + body)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._rest:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionResetError("closed by the server")
            self._rest += piece
        found, _, self._rest = self._rest.partition(mark)
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self._rest) < length:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionResetError("closed by the server")
            self._rest += piece
        found, self._rest = self._rest[:length], self._rest[length:]
        return found

    def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer on this connection: status, headers in lower case, body."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if head or status in (204, 304) or status < 200:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self._until(b"\r\n"), 16):
                parts.append(self._exactly(size))
                self._exactly(2)
            self._exactly(2)
            return status, headers, b"".join(parts)
        return status, headers, self._exactly(int(headers.get("content-length", "0")))

    def still_works(self) -> None:
        """The connection is in step: the next request gets the next answer, and nothing else is there."""
        self.send("GET @/metadata HTTP/1.1", "X-Request-Id: in-step")
        status, headers, body = self.answer()
        assert (status, headers["x-request-id"]) == (200, "in-step")
        assert json.loads(body)["resourceType"] == "CapabilityStatement"
        assert self._rest == b""


@pytest.fixture
def stored(live: Live) -> str:
    """The path of a resource that is large enough to be compressed."""
    with live.connection() as connection:
        assert connection("PUT", "Patient/large", PATIENT.replace(b"{", b'{"id":"large",', 1)).status in (200, 201)
    return "Patient/large"


def test_head_and_empty_answers_keep_the_connection_in_step(live: Live, stored: str) -> None:
    with Wire(live) as wire:
        for headers in ((), ("Accept-Encoding: gzip",), ('If-None-Match: W/"99"',)):
            wire.send(f"GET @/{stored} HTTP/1.1", *headers)
            got = wire.answer()
            wire.send(f"HEAD @/{stored} HTTP/1.1", *headers)
            status, head, _ = wire.answer(head=True)
            assert status == got[0] == 200
            for name in ("content-type", "content-length", "content-encoding", "etag", "last-modified"):
                assert head.get(name) == got[1].get(name), name
            wire.still_works()
        wire.send(f"GET @/{stored} HTTP/1.1", f"If-None-Match: {got[1]['etag']}")
        status, headers_, _ = wire.answer()
        assert (status, headers_.get("content-length", "0")) == (304, "0")
        wire.still_works()
        for line in ("OPTIONS @/Patient HTTP/1.1", "DELETE @/Patient/none HTTP/1.1"):
            wire.send(line)
            status, headers_, _ = wire.answer()
            assert status in (204, 404)
            wire.still_works()
        for path in ("@/Patient/none", "@/Patient?x=y", "@/Nothing", "/nothing", "@/Patient/large/_history"):
            wire.send(f"HEAD {path} HTTP/1.1")
            wire.answer(head=True)
            wire.still_works()


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("POST @/Patient HTTP/1.1", ("Authorization: Bearer wrong",), 401),
        ("POST @/Nothing HTTP/1.1", (), 404),
        ("POST /t/other/fhir/Patient HTTP/1.1", (), 403),
        ("POST @/Patient/1 HTTP/1.1", (), 405),
        ("POST @/Patient HTTP/1.1", ("Content-Type: text/plain",), 415),
        ("POST @/Patient?x=y HTTP/1.1", (), 400),
        ("POST @/Patient HTTP/1.1", ("Accept: text/turtle",), 406),
        ("POST /nothing HTTP/1.1", (), 404),
        ("GET @/metadata HTTP/1.1", (), 200),
    ],
)
def test_a_body_that_was_not_read_is_not_the_next_request(
    live: Live, line: str, headers: tuple[str, ...], status: int
) -> None:
    """The body looks like a request itself; were it taken for one, a client could speak in another's name."""
    smuggled = f"GET {live.base}/Patient/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for size in (1, 2000):
        body = smuggled * size
        with Wire(live) as wire:
            words = [header for header in headers if header.startswith("Authorization")]
            sent = [*headers, f"Content-Length: {len(body)}"]
            if words:
                wire.socket.sendall(
                    f"{line.replace('@', live.base)}\r\nHost: localhost\r\n".encode()
                    + "\r\n".join(sent).encode()
                    + b"\r\n\r\n"
                    + body
                )
            else:
                wire.send(line, *sent, body=body)
            # The server may close the connection, even while a large body is still on its way; nothing else.
            with contextlib.suppress(*((ConnectionResetError, BrokenPipeError) if size > 1 else ())):
                assert wire.answer()[0] == status
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                wire.still_works()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(live: Live) -> None:
    with Wire(live) as wire:
        wire.send("POST @/Patient HTTP/1.1", "Content-Length: 99999999999")
        status, _, body = wire.answer()
        assert status == 413
        assert json.loads(body)["resourceType"] == "OperationOutcome"


def test_a_body_in_chunks(live: Live) -> None:
    with Wire(live) as wire:
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(part), part) for part in (PATIENT[:10], PATIENT[10:500], PATIENT[500:])
        )
        wire.send("POST @/Patient HTTP/1.1", "Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
        assert wire.answer()[0] == 201
        wire.still_works()
        zipped = gzip.compress(PATIENT)
        wire.send(
            "POST @/Patient HTTP/1.1",
            "Transfer-Encoding: chunked",
            "Content-Encoding: gzip",
            body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(zipped), zipped),
        )
        assert wire.answer()[0] == 201
        wire.still_works()


def test_chunks_without_end_are_refused(live: Live) -> None:
    with Wire(live) as wire:
        wire.send("POST @/Patient HTTP/1.1", "Transfer-Encoding: chunked")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(200):
                wire.socket.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert wire.answer()[0] == 413
    healthy(live)


def healthy(live: Live) -> None:
    """Everybody else is served, at once."""
    begun = time.monotonic()
    with live.connection() as connection:
        assert connection("GET", "metadata").status == 200
        assert connection("GET", "Patient?_count=1").status == 200
    assert time.monotonic() - begun < 5
    assert live.up.process.poll() is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 5000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET BASE/Patient\xff\xfe?name=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET BASE/Patient/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST BASE/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST BASE/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST BASE/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST BASE/Patient HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST BASE/Patient HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST BASE/Patient HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"POST BASE/Patient HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\nHost: x\r\nContent-Length: 500\r\n\r\n{",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://evil.example/fhir/Patient HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET BASE/metadata HTTP/1.0\r\n\r\n",
        b"GET BASE/metadata\r\n\r\n",
    ],
    ids=range(23),
)
def test_bytes_that_are_no_request(live: Live, data: bytes) -> None:
    data = data.replace(b"BASE", live.base.encode()).replace(b"TOKEN", live.access_token.encode())
    received = live.raw(data, seconds=3)
    assert not received or received.startswith(b"HTTP/1.")
    assert b" 500 " not in received[:20]
    assert b"Traceback" not in received
    healthy(live)


def test_http_1_0_and_absolute_request_targets(live: Live) -> None:
    received = live.raw(f"GET {live.base}/metadata HTTP/1.0\r\n\r\n".encode(), end=False)
    assert received.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
    assert received.partition(b"\r\n\r\n")[2].startswith(b'{"resourceType":"CapabilityStatement"')
    with Wire(live) as wire:
        wire.send(f"GET http://localhost:{live.port}{live.base}/metadata HTTP/1.1")
        assert wire.answer()[0] == 200
        wire.still_works()


def test_text_that_is_not_percent_encoded(live: Live) -> None:
    """As curl sends it; the bytes reach the application as they are."""
    with live.connection() as connection:
        family = {"family": "Mülleregg-山田"}
        assert connection("POST", "Patient", {"resourceType": "Patient", "name": [family]}).status == 201
    with Wire(live) as wire:
        line = "GET @/Patient?family:exact=Mülleregg-山田 HTTP/1.1".replace("@", live.base).encode()
        wire.socket.sendall(line + f"\r\nHost: x\r\nAuthorization: Bearer {live.access_token}\r\n\r\n".encode())
        status, _, body = wire.answer()
        assert (status, json.loads(body)["total"]) == (200, 1)


def test_a_condition_that_cannot_be_read_is_no_permission(live: Live, stored: str) -> None:
    """granian shows a header beyond ASCII as an empty one; taken for none, it would let any update through."""
    body = PATIENT.replace(b"{", b'{"id":"large",', 1)
    for header in ("If-Match: ", 'If-Match: W/"é"', "If-None-Exist: identifier=é", "If-None-Exist:"):
        with Wire(live) as wire:
            wire.send(
                "POST @/Patient HTTP/1.1" if "Exist" in header else f"PUT @/{stored} HTTP/1.1",
                header,
                f"Content-Length: {len(body)}",
                body=body,
            )
            assert wire.answer()[0] == 400, header


def test_many_requests_at_once_on_one_connection(live: Live) -> None:
    """Pipelining: the answers come in the order of the requests. https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2"""
    with Wire(live) as wire:
        for number in range(40):
            wire.send(
                "GET @/Patient/none HTTP/1.1" if number % 2 else "GET @/metadata HTTP/1.1", f"X-Request-Id: n{number}"
            )
        for number in range(40):
            status, headers, _ = wire.answer()
            assert (status, headers["x-request-id"]) == (404 if number % 2 else 200, f"n{number}")


def test_clients_that_stop_in_the_middle_hold_nobody_up(live: Live) -> None:
    """More of them than may wait for a body: the others are told to come again, and whoever has none is served."""
    half_head = f"POST {live.base}/Patient HTTP/1.1\r\nHost: x\r\n".encode()
    whole_head = half_head + f"Authorization: Bearer {live.access_token}\r\nContent-Length: 2000\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for data in [half_head, whole_head, whole_head + b"{"] * 80:
            waiting = stack.enter_context(socket.create_connection(("127.0.0.1", live.port), timeout=10))
            waiting.sendall(data)
        time.sleep(0.3)
        for _ in range(10):
            healthy(live)
    healthy(live)
    with live.connection() as connection:
        assert connection("POST", "Patient", PATIENT).status == 201


def test_clients_that_leave_before_the_answer(live: Live, stored: str) -> None:
    for _ in range(30):
        with Wire(live) as wire:
            wire.send(f"GET @/{stored}/_history HTTP/1.1")
        with Wire(live) as wire:
            wire.send("POST @/Patient HTTP/1.1", f"Content-Length: {len(PATIENT)}", body=PATIENT[:100])
    healthy(live)


def test_nothing_went_wrong_in_the_log_and_nothing_secret_stands_there(live: Live, stored: str) -> None:
    """Written so that it holds wherever in the order of tests it runs: for all of them before it."""
    with live.connection() as connection:
        connection("GET", "Patient?name=Geheimniskraemer")
        connection("GET", f"{stored}?x=Geheimniskraemer")
    lines = [line for line in live.up.output.splitlines() if line.startswith("{")]
    assert [line for line in lines if '"event":"request"' in line]
    assert not [line for line in lines if '"level":"error"' in line]
    for secret in (
        "Geheimniskraemer",
        live.access_token,
        live.access_token.rpartition(".")[2],
        "Mülleregg",
        "xxxxxxxxxx",
    ):
        assert secret not in live.up.output
