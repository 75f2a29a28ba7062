"""A message that has come: read, checked, kept, and only then acknowledged.

docs/hl7.md, "Safe before it is acknowledged"
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.hl7_messages import RECEIVED, Incoming, Kept
from hl7_gateway import answers, batch_answers
from hl7_gateway.feed import COMMIT, Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.keeping import Keeper, NotKept
from hl7_gateway.message import Message
from hl7_gateway.metrics import Metrics
from hl7_gateway.problems import Malformed, Refused
from hl7_gateway.reading import Read, ReadBatch, header, incoming, read
from hl7_gateway.settlements import Settlements
from hl7_gateway.wire.connection import Handler
from hl7_gateway.wire.peer import Peer

logger = logging.getLogger(__name__)

Send = Callable[[bytes], None]

_LARGE: Final = 262_144
"""Bytes from which on a message is read in another thread, so that others need not wait for it."""

_TOGETHER: Final = 256
"""How many messages of a batch are open at once."""

COMMIT_SECONDS: Final = 20.0
"""How long a sender waits for its message to be stored, where its feed acknowledges only then."""

_NO_FEED: Final = Refused(207, "AR", None, "No feed takes messages of this sender.")


class Receiver:
    """What happens to a message between its frame and its acknowledgment."""

    def __init__(
        self,
        feeds: Feeds,
        keeper: Keeper,
        settlements: Settlements,
        hasher: Hasher,
        metrics: Metrics,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> None:
        self._feeds = feeds
        self._keeper = keeper
        self._settlements = settlements
        self._hasher = hasher
        self._metrics = metrics
        self._commit_seconds = commit_seconds

    def handler(self, port: int) -> Handler:
        """Takes the messages that come to a port."""
        return partial(self.receive, port)

    async def receive(self, port: int, peer: Peer, raw: bytes) -> bytes | None:
        """The acknowledgment of a message or a batch, None where its sender wants none.

        Nothing positive is said before it is committed.
        """
        feed = self._feeds.recognise(peer, port, header(raw))
        if feed is None:
            return self._unknown(port, peer, raw)
        self._metrics.came(feed, datetime.now(UTC).timestamp())
        if len(raw) > feed.limit:
            said = f"The message has {len(raw):,} bytes, of which this feed takes {feed.limit:,}."
            found: Read | ReadBatch = Read(feed, raw, None, Refused(207, "AR", None, said))
        elif len(raw) > _LARGE:
            found = await asyncio.to_thread(read, feed, raw)
        else:
            found = read(feed, raw)
        if isinstance(found, ReadBatch):
            return await self._batch(port, peer, found)
        return await self._message(found, peer.send)

    def _unknown(self, port: int, peer: Peer, raw: bytes) -> bytes | None:
        self._metrics.unknown()
        logger.warning("a message is of no feed", extra={"peer": peer.address, "port": port, "bytes": len(raw)})
        try:
            answer = answers.refused(Message(raw[:_LARGE].decode("latin-1")), _NO_FEED)
        except Malformed:
            answer = answers.refused(raw, _NO_FEED)
        return answer or None

    async def _message(self, found: Read, send: Send) -> bytes | None:
        """Keep one message and answer it; what goes out before the last answer goes to ``send``."""
        feed, message, problem = found.feed, found.message, found.problem
        later = feed.acknowledgment == COMMIT and problem is None
        if message is None or problem is not None:
            answer = answers.refused(found.received, problem or _NO_FEED)
        else:
            answer = answers.taken(message, later=later)
        if len(found.raw) > _LARGE:
            told = await asyncio.to_thread(incoming, found, self._hasher, answer)
        else:
            told = incoming(found, self._hasher, answer)
        try:
            kept = await asyncio.wrap_future(self._keeper.keep(feed.tenant_id, told))
        except NotKept:
            self._metrics.answered(feed, "failed")
            return answers.refused(found.received, answers.NOT_KEPT) or None
        self._count(feed, told, kept)
        if later and kept.state == RECEIVED and message is not None:
            return await self._stored(feed, message, kept, send)
        *before, last = answers.parts(kept.acknowledgment) or [b""]
        for one in before:
            send(one)
        return last or None

    def _count(self, feed: Feed, told: Incoming, kept: Kept) -> None:
        answer = "repeated" if not kept.new else "accepted" if told.problem is None else "refused"
        self._metrics.answered(feed, answer)
        if kept.new and told.problem is not None:
            code, place = told.problem["code"], told.problem["place"]
            extra = {"feed": feed.label, "hl7_message": kept.id, "code": code, "place": place}
            logger.warning("a message is a dead letter", extra=extra)

    async def _stored(self, feed: Feed, message: Message, kept: Kept, send: Send) -> bytes | None:
        """Wait for a message to be stored, and answer what became of it.

        Whoever was promised that it is safe is told nothing when that takes too long; others are told to ask again.
        """
        promised = answers.promised(message)
        if promised:
            send(answers.parts(kept.acknowledgment)[0])
        future = self._settlements.wait(feed.tenant_id, kept.id)
        try:
            async with asyncio.timeout(self._commit_seconds):
                stored = await asyncio.wrap_future(future)
        except TimeoutError:
            self._settlements.leave(feed.tenant_id, kept.id, future)
            logger.warning("a message takes long to be stored", extra={"feed": feed.label, "hl7_message": kept.id})
            return None if promised else answers.parts(kept.acknowledgment)[-1]
        return (answers.parts(stored)[1 if promised else 0 :] or [b""])[-1] or None

    async def _batch(self, port: int, peer: Peer, found: ReadBatch) -> bytes:
        """Each message of a batch has an outcome of its own; the acknowledgments are a batch as well."""
        told: list[bytes] = []
        for start in range(0, len(found.messages), _TOGETHER):
            some = found.messages[start : start + _TOGETHER]
            outcomes = await asyncio.gather(*(self._of_batch(port, peer, raw) for raw in some))
            for outcome in outcomes:
                told.extend(outcome)
        return batch_answers.batch(found, told, answers.control_id(), datetime.now(UTC))

    async def _of_batch(self, port: int, peer: Peer, raw: bytes) -> list[bytes]:
        feed = self._feeds.recognise(peer, port, header(raw))
        before: list[bytes] = []
        if feed is None:
            last = self._unknown(port, peer, raw)
        else:
            found = read(feed, raw)
            if isinstance(found, ReadBatch):
                found = Read(feed, raw, None, Refused(100, "AE", None, "It is not one message."))
            last = await self._message(found, before.append)
        return [*before, last] if last is not None else before
