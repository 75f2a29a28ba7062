"""Another system for tests: a port that takes messages and answers them as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Tenant
from fhir_server.store import directory, hl7_destinations, hl7_outbound
from fhir_server.store.hl7_outbound import Entry
from fhir_server.store.session import Database
from hl7_gateway.message import Message
from hl7_gateway.outbound import rules
from hl7_gateway.outbound.senders import Senders
from hl7_gateway.wire.listener import Listener

HOST = "127.0.0.1"
EVERYTHING = [{"resource": one} for one in rules.MESSAGES]


def answer(raw: bytes, code: str = "AA") -> bytes:
    """An acknowledgment of a message."""
    control_id = Message(raw.decode()).control_id
    error = "\rERR||PID^1^3|101|E||||no such patient" if code not in ("AA", "CA") else ""
    return f"MSH|^~\\&|B|B|A|A|2026||ACK|1|P|2.5.1\rMSA|{code}|{control_id}{error}\r".encode()


class System:
    """Another system. ``behave`` says what is answered to a message; None: the connection is silent."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._tls = context
        self.received: list[Message] = []
        self.raw: list[bytes] = []
        self.certificates: list[str] = []
        self.behave: Callable[[bytes], bytes | None] = answer
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._listener: Listener | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def up(self) -> None:
        """Listen, on the same port as before."""

        async def handler(peer: Any, raw: bytes) -> bytes | None:
            self.raw.append(raw)
            self.certificates.append(peer.certificate)
            self.received.append(Message(raw.decode()))
            return self.behave(raw)

        self._listener = Listener(HOST, self.port, handler=handler, tls=self._tls)
        self._run(self._listener.start())
        self.port = self._listener.port

    def down(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._run(self._listener.close(0.2))
            self._listener = None

    def close(self) -> None:
        """The end of it."""
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def events(self) -> list[str]:
        """The trigger events of what it was sent."""
        return [one.event for one in self.received]


class Told:
    """A clinic with destinations, and senders of its own."""

    def __init__(self, database: Database, tenant: Tenant) -> None:
        self.database = database
        self.tenant = tenant
        self.hasher = Hasher(directory.hash_key(database))
        self.ids: dict[str, int] = {}

    def add(self, system: System, name: str = "his", feed: int = 0, **configuration: Any) -> None:
        """Add a destination, and have nothing sent yet."""
        whole = {"host": HOST, "port": system.port, "rules": EVERYTHING, "retry": 0.1, "timeout": 1.0, **configuration}
        types = rules.read(whole).types
        found = self.within(hl7_destinations.add, name, types, whole, 1, feed)
        assert found is not None
        self.ids[name] = found

    def within(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self.database.transaction(self.tenant.id, lambda c: work(c, self.tenant.id, *arguments, **named))

    def senders(self) -> Senders:
        """Those of one process."""
        return Senders(self.database, self.hasher, lambda slug: f"http://localhost/t/{slug}/fhir")

    @contextlib.contextmanager
    def sending(self) -> Iterator[Senders]:
        """Send for the time of the block."""
        senders = self.senders()
        senders.start()
        try:
            yield senders
        finally:
            senders.stop(3.0)

    def outbox(self, *states: str, name: str = "his") -> list[Entry]:
        """What there is for a destination."""
        wanted = states or ("waiting", "sent", "dead", "skipped")
        found: list[Entry] = self.within(hl7_outbound.listed, self.ids[name], wanted, 1_000)
        return found

    def states(self, name: str = "his") -> list[str]:
        """The states of all that there is, in its order."""
        return [one.state for one in self.outbox(name=name)]


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)
