"""A gateway in this process: feeds of a tenant, a port, and a store that is real."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from functools import partial
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError
from fhir_server.store import directory, hl7_feeds, hl7_found
from fhir_server.store.hl7_found import Found, Wanted, Whole
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.committing import Committer
from hl7_gateway.feeds import Feeds
from hl7_gateway.keeping import Keeper
from hl7_gateway.metrics import Metrics
from hl7_gateway.receive import Receiver
from hl7_gateway.settlements import Settlements
from hl7_gateway.stored_maps import loader
from hl7_gateway.wire.client import Answer, read
from hl7_gateway.wire.listener import LIMIT, Listener
from hl7_gateway.wire.mllp import Frame, Frames, frame

HOST = "127.0.0.1"


def message(
    control_id: str = "1",
    event: str = "A01",
    patient: str = "123",
    *,
    modes: str = "",
    rest: str = "PV1|1|I|W^1^A\r",
    application: str = "EPIC",
    kind: str = "ADT",
) -> bytes:
    """A message, in the enhanced mode with ``modes`` as in "AL|NE"."""
    pid = f"PID|1||{patient}^^^HOSP^MR||SMITH^ANNA||19610203|F\r" if patient else ""
    header = f"MSH|^~\\&|{application}|HOSP|FHIR|CLINIC|20260101120000||{kind}^{event}|{control_id}|P|2.5.1|||{modes}"
    return f"{header}\rEVN|{event}|20260101\r{pid}{rest}".encode()


def hasher(database: Database) -> Hasher:
    """The hasher of a database."""
    return Hasher(directory.hash_key(database))


class Gateway:
    """What tests see of it: a port to send to, and what the store holds."""

    def __init__(self, database: Database, tenant: Tenant, commit_seconds: float = 20.0) -> None:
        self.database = database
        self.tenant = tenant
        self.hasher = hasher(database)
        self.feeds = Feeds(database, maps=loader(database, self.hasher))
        self.metrics = Metrics()
        self.keeper = Keeper(database)
        self._settlements = Settlements(database, 0.1)
        self.committer = Committer(database, self.keeper)
        self.receiver = Receiver(
            self.feeds, self.committer, self._settlements, self.hasher, self.metrics, commit_seconds
        )
        self.listener: Listener | None = None
        self._added: list[tuple[int, str, dict[str, Any]]] = []

    def feed(self, name: str = "lab", **configuration: Any) -> int:
        """Add a feed; the port is the one that is listened on."""
        return self.feed_of(self.tenant, name, **configuration)

    def feed_of(self, tenant: Tenant, name: str, **configuration: Any) -> int:
        """Add a feed of another tenant."""
        assert self.listener is not None
        whole = {"port": self.listener.port, **configuration}
        number = self.database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, name, whole, 5))
        assert number is not None
        self._added.append((tenant.id, name, whole))
        self.feeds.refresh(now=True)
        return number

    def _retire(self) -> None:
        """Have the feeds be of no later gateway, which may have the same port, and their messages wait for ever."""
        for tenant, name, whole in self._added:
            gone = {**whole, "networks": ["192.0.2.255"]}
            self.database.transaction(
                tenant, partial(hl7_feeds.change, tenant_id=tenant, name=name, now=9, configuration=gone, paused=True)
            )

    @contextlib.asynccontextmanager
    async def serving(self, *, limit: int = LIMIT, **feed: Any) -> AsyncIterator[Gateway]:
        """Listen, with one feed, for the time of the block."""
        self.keeper.start()
        self.committer.start()
        self._settlements.start()
        late: list[Any] = []

        def handler(peer: Any, raw: bytes) -> Awaitable[bytes | None]:
            answer: Awaitable[bytes | None] = late[0](peer, raw)
            return answer

        def refuser(peer: Any, large: Any, said: str) -> Awaitable[bytes | None]:
            answer: Awaitable[bytes | None] = late[1](peer, large, said)
            return answer

        try:
            async with Listener(HOST, 0, handler=handler, limit=limit, refuser=refuser) as listener:
                self.listener = listener
                late += [self.receiver.handler(listener.port), self.receiver.refuser(listener.port)]
                self.feed(**feed)
                yield self
        finally:
            await self.committer.close()
            self.keeper.close()
            self._settlements.close()
            with contextlib.suppress(FhirError):
                # Some tests end without a database.
                self._retire()

    async def connect(self) -> Sender:
        """A connection to it."""
        assert self.listener is not None
        reader, writer = await asyncio.open_connection(HOST, self.listener.port)
        return Sender(reader, writer)

    def found(self, **wanted: Any) -> list[Found]:
        """Messages of the tenant, the oldest first."""
        tenant = self.tenant.id
        return self.database.transaction(tenant, lambda c: hl7_found.listed(c, tenant, Wanted(**wanted), 1_000))[::-1]

    def whole(self, number: int) -> Whole:
        """One message of the tenant."""
        found = self.database.transaction(self.tenant.id, lambda c: hl7_found.whole(c, self.tenant.id, number))
        assert found is not None
        return found


class Sender:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames = Frames(10**9)
        self._events: Iterator[Any] = iter(())

    async def next(self, seconds: float = 10) -> bytes:
        """The next message that comes."""
        async with asyncio.timeout(seconds):
            while True:
                for event in self._events:
                    if isinstance(event, Frame):
                        return event.payload
                data = await self.reader.read(65_536)
                if not data:
                    raise ConnectionError("the gateway has closed the connection")
                self._events = iter(self._frames.feed(data))

    async def raw(self, payload: bytes) -> bytes:
        """Send a message; its answer as it comes."""
        self.writer.write(frame(payload))
        return await self.next()

    async def send(self, payload: bytes) -> Answer:
        """Send a message; its answer."""
        return read(await self.raw(payload))

    async def silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False
