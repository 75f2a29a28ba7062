"""A server of several processes behind a port, and clients that speak to it over sockets of their own."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.functional.running import PRODUCTION, Running, data_directory, free_port, run, running

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What came back over the socket."""

    status: int
    headers: http.client.HTTPMessage
    data: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.data)


class Connection:
    """One client with one connection that it keeps."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._http = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send one request below the tenant's base; header names are written with _ for -."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self._live.access_token}", "Content-Type": "application/fhir+json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        self._http.request(method, f"{self._live.base}/{path}".rstrip("/"), data, sent)
        response = self._http.getresponse()
        return Reply(response.status, response.headers, response.read())

    def close(self) -> None:
        """End the connection."""
        self._http.close()


@dataclass(frozen=True)
class Live:
    """A running server with one tenant."""

    up: Running
    access_token: str
    settings: dict[str, str]
    base: str = "/t/clinic/fhir"

    @property
    def port(self) -> int:
        """Where it listens on this machine."""
        return self.up.port

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A client for the time of the block."""
        connection = Connection(self)
        try:
            yield connection
        finally:
            connection.close()

    def at_once(self, works: Sequence[Callable[[Connection], T]]) -> list[T]:
        """Run each work with a connection of its own, all started at the same moment; their results in order."""
        results: dict[int, T] = {}
        errors: list[BaseException] = []
        gate = threading.Barrier(len(works))

        def one(number: int, work: Callable[[Connection], T]) -> None:
            try:
                with self.connection() as connection:
                    connection("GET", "metadata")
                    gate.wait(30)
                    results[number] = work(connection)
            except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
                errors.append(error)
                gate.abort()

        threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        if errors:
            raise errors[0]
        return [results[number] for number in range(len(works))]

    def raw(self, data: bytes, *, seconds: float = 10, end: bool = True) -> bytes:
        """Send bytes as they are, and read until the server closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            if end:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while piece := connection.recv(65536):
                    received += piece
            return received


@contextlib.contextmanager
def serving(**settings: str) -> Iterator[Live]:
    """A server with two web processes and the tenant "clinic"."""
    with data_directory() as directory:
        named = (
            PRODUCTION
            | {"DATA_DIR": str(directory), "PORT": str(free_port()), "MLLP_PORT": str(free_port())}
            | settings
        )
        with running("up", **named) as up:
            up.wait_for(lambda: "Ready" in up.output)
            made = run("tenant", "create", "clinic", **named)
            assert made.returncode == 0, made.stderr
            issued = run("access-token", "--tenant", "clinic", "--lifetime", "3600", **named)
            assert issued.returncode == 0, issued.stderr
            yield Live(up, issued.stdout.strip(), named)
