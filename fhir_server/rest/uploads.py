"""Clients that send slowly wait by themselves: they keep no thread, connection or memory that others need.
https://www.rfc-editor.org/rfc/rfc9110#status.503

A WSGI server gives each request a thread before its body has arrived. Such a request stands aside here until it has.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Protocol

from fhir_server.errors import Unavailable

WAITING = 64
"""How many requests of a process may wait for their bodies: the server has as many threads more than may run."""

_BODIES = 16
"""How many bodies of the largest size may be arriving at the same time."""

_PATIENCE = 0.25
"""Seconds to wait for a place; an honest client needs one for less than a millisecond."""


class Stream(Protocol):
    """What WSGI gives to read a body from."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; waits until they have arrived."""


class Uploads:
    """Lets ``running`` requests run at the same time, and WAITING more wait for bodies of up to ``most`` bytes."""

    def __init__(self, running: int, most: int) -> None:
        # A queue of places in the place of a semaphore: it is written in C and costs a tenth.
        self._running: SimpleQueue[None] = SimpleQueue()
        for _ in range(running):
            self._running.put(None)
        self._free = threading.Condition()
        self._places = WAITING
        self._bytes = _BODIES * most

    def begin(self) -> None:
        """Wait until less than ``running`` other requests run; `end` ends it."""
        self._running.get()

    def end(self) -> None:
        """Let the next request run."""
        self._running.put(None)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run a request, once less than ``running`` others do."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def read(self, stream: Stream, size: int) -> bytes:
        """Read a body, within `run`; others run meanwhile. Raises Unavailable where too many are on their way."""
        self.end()
        try:
            self._take(size)
            try:
                return stream.read(size)
            finally:
                self._give(size)
        finally:
            self.begin()

    def _take(self, size: int) -> None:
        with self._free:
            if not self._free.wait_for(lambda: self._places > 0 and self._bytes >= size, _PATIENCE):
                raise Unavailable(
                    "Too many request bodies are on their way to the server just now; send it again.",
                    headers=[("Retry-After", "2")],
                )
            self._places -= 1
            self._bytes -= size

    def _give(self, size: int) -> None:
        with self._free:
            self._places += 1
            self._bytes += size
            self._free.notify()
