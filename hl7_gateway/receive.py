"""A message that has come: read, checked, kept, and only then acknowledged.

docs/hl7.md, "Safe before it is acknowledged"
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, ParamSpec, TypeVar

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.hl7_messages import RECEIVED, Incoming, Kept
from hl7_gateway import answers, batch_answers, sequence
from hl7_gateway.committing import Committer
from hl7_gateway.feed import COMMIT, Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.keeping import NotKept
from hl7_gateway.message import Heading, Message
from hl7_gateway.metrics import Metrics
from hl7_gateway.problems import Malformed, Refused
from hl7_gateway.reading import Read, ReadBatch, heading, incoming, read
from hl7_gateway.seldom import Seldom
from hl7_gateway.settlements import Settlements
from hl7_gateway.wire.connection import Handler, Refuser
from hl7_gateway.wire.mllp import Oversize
from hl7_gateway.wire.peer import Peer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Send = Callable[[bytes], None]

_LARGE: Final = 262_144
"""Bytes from which on a message is read in another thread, so that others need not wait for it."""

_TOGETHER: Final = 256
"""How many messages of a batch are open at once."""

_CROWD: Final = 8
"""How many messages wait to be stored where one more is in no hurry to be kept."""

COMMIT_SECONDS: Final = 20.0
"""How long a sender waits for its message to be stored, where its feed acknowledges only then."""

_NO_FEED: Final = Refused(207, "AR", None, "No feed takes messages of this sender.")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A message that is ready to be kept; ``later``: it is answered when it is stored."""

    read: Read
    incoming: Incoming
    later: bool


@dataclass(slots=True)
class _Patience:
    """How many seconds a message is waited for; none, once one of the same batch was waited for in vain."""

    seconds: float


_Key = tuple[int, str, int]


class _Turn:
    """Messages of a connection are kept in the order in which they came, however long each takes to be read."""

    def __init__(self, last: dict[_Key, _Turn], key: _Key) -> None:
        self._last = last
        self._key = key
        self._before = last.get(key)
        self._ended = asyncio.Event()
        last[key] = self

    async def come(self) -> None:
        """Wait for those before, and for those before one that gave its turn up."""
        while self._before is not None:
            await self._before._ended.wait()
            self._before = self._before._before

    def end(self) -> None:
        """Let those after have their turn, once those before have had theirs."""
        self._ended.set()
        if self._last.get(self._key) is not self:
            return
        before = self._before
        while before is not None and before._ended.is_set():
            before = before._before
        if before is None:
            del self._last[self._key]
        else:
            self._last[self._key] = before


class Receiver:
    """What happens to a message between its frame and its acknowledgment."""

    def __init__(
        self,
        feeds: Feeds,
        committer: Committer,
        settlements: Settlements,
        hasher: Hasher,
        metrics: Metrics,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> None:
        self._feeds = feeds
        self._committer = committer
        self._settlements = settlements
        self._hasher = hasher
        self._metrics = metrics
        self._commit_seconds = commit_seconds
        self._last: dict[_Key, _Turn] = {}
        self._strangers = Seldom()

    def handler(self, port: int) -> Handler:
        """Takes the messages that come to a port."""
        return partial(self.receive, port)

    def receive(self, port: int, peer: Peer, raw: bytes) -> Awaitable[bytes | None]:
        """The acknowledgment of a message or a batch, None where its sender wants none.

        Nothing positive is said before it is committed. What takes its time to be read, and what comes after that, has
        its turn; any other message is on its way when this returns.
        """
        key = (port, peer.address, peer.port)
        if len(raw) > _LARGE or key in self._last:
            return self._with_turn(key, lambda turn: self._receive(port, peer, raw, turn))
        said = heading(raw)
        feed = self._feeds.recognise(peer, port, said)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        if feed is None:
            answer.set_result(self._unknown(port, peer, raw))
            return answer
        self._metrics.came(feed, time.time())
        found = _read(feed, raw, said)
        if isinstance(found, ReadBatch):
            return self._with_turn(key, lambda turn: self._batch(port, peer, found, turn))
        prepared = self._prepared(found)
        if prepared.later:
            return self._answer(prepared, self._kept(feed, prepared), peer.send)
        self._committer.keep(feed.tenant_id, prepared.incoming, partial(self._tell, prepared, peer.send, answer))
        return answer

    def refuser(self, port: int) -> Refuser:
        """Answers messages that are too large for a port."""
        return partial(self.refuse, port)

    def refuse(self, port: int, peer: Peer, large: Oversize, said: str) -> Awaitable[bytes | None]:
        """What is answered to a message that was not taken, for it is too large; with the number that is expected,
        after those that came before."""
        return self._with_turn((port, peer.address, peer.port), partial(self._refused, port, peer, large, said))

    async def _refused(self, port: int, peer: Peer, large: Oversize, said: str, turn: _Turn) -> bytes | None:
        feed, expected = self._feeds.recognise(peer, port, heading(large.head)), None
        await turn.come()
        if feed is None:
            self._metrics.unknown()
        else:
            self._metrics.came(feed, time.time())
            self._metrics.answered(feed, "refused")
            if feed.sequence:
                expected = await self._expected(feed, turn)
        try:
            received: Message | bytes = Message(large.head.decode("latin-1"))
        except Malformed:
            received = large.head
        return answers.refused(received, Refused(207, "AR", None, said), expected) or None

    async def _expected(self, feed: Feed, turn: _Turn) -> int | None:
        """The number that is expected after all that came before; None where that cannot be told just now."""
        asked = sequence.query(feed, sequence.QUERIES[0])
        kept = self._committer.kept(feed.tenant_id, asked)
        turn.end()
        try:
            return (await kept).expected
        except NotKept:
            return None

    def _with_turn(
        self, key: _Key, answer: Callable[[_Turn], Coroutine[None, None, bytes | None]]
    ) -> asyncio.Task[bytes | None]:
        turn = _Turn(self._last, key)
        task = asyncio.get_running_loop().create_task(answer(turn))
        task.add_done_callback(lambda _: turn.end())
        return task

    async def _receive(self, port: int, peer: Peer, raw: bytes, turn: _Turn) -> bytes | None:
        feed = self._feeds.recognise(peer, port, heading(raw))
        if feed is None:
            return self._unknown(port, peer, raw)
        self._metrics.came(feed, time.time())
        found = await _in_thread(len(raw), _read, feed, raw)
        if isinstance(found, ReadBatch):
            return await self._batch(port, peer, found, turn)
        prepared = await _in_thread(len(raw), self._prepared, found)
        await turn.come()
        kept = self._kept(feed, prepared)
        turn.end()
        return await self._answer(prepared, kept, peer.send)

    def _unknown(self, port: int, peer: Peer, raw: bytes) -> bytes | None:
        self._metrics.unknown()
        if times := self._strangers.times((port, peer.address)):
            extra = {"peer": peer.address, "port": port, "bytes": len(raw), "times": times}
            logger.warning("a message is of no feed", extra=extra)
        try:
            answer = answers.refused(Message(raw[:_LARGE].decode("latin-1")), _NO_FEED)
        except Malformed:
            answer = answers.refused(raw, _NO_FEED)
        return answer or None

    def _prepared(self, found: Read) -> _Prepared:
        """A message with what is going to be answered to it once it is kept."""
        number = None
        if found.feed.sequence:
            found, number = sequence.numbered(found)
            if number in sequence.QUERIES:
                return _Prepared(found, sequence.query(found.feed, number), later=False)
        later = found.feed.acknowledgment == COMMIT and found.problem is None
        if found.message is None or found.problem is not None:
            answer = answers.refused(found.received, found.problem or _NO_FEED, number)
        else:
            answer = answers.taken(found.message, later=later, expected=number)
        told = incoming(found, self._hasher, answer)
        return _Prepared(found, told if number is None else replace(told, sequence=number), later)

    def _kept(self, feed: Feed, prepared: _Prepared) -> asyncio.Future[Kept]:
        """Have a message kept. One that is answered when it is stored, behind a crowd, need not be kept at once."""
        hurry = not prepared.later or self._settlements.waiting < _CROWD
        return self._committer.kept(feed.tenant_id, prepared.incoming, hurry=hurry)

    def _tell(
        self, prepared: _Prepared, send: Send, answer: asyncio.Future[bytes | None], kept: Kept | NotKept
    ) -> None:
        """Answer what became of a message, unless its sender is gone."""
        try:
            said = self._said(prepared, send, kept)
        except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(said)

    async def _answer(
        self, prepared: _Prepared, future: asyncio.Future[Kept], send: Send, patience: _Patience | None = None
    ) -> bytes | None:
        """What is answered to a message; what goes out before the last answer goes to ``send``."""
        try:
            kept = await future
        except NotKept as error:
            return self._said(prepared, send, error)
        message = prepared.read.message
        if prepared.later and kept.expected is None and kept.state == RECEIVED and message is not None:
            self._count(prepared.read.feed, prepared.incoming, kept)
            patience = patience or _Patience(self._commit_seconds)
            return await self._stored(prepared.read.feed, message, kept, send, patience)
        return self._said(prepared, send, kept)

    def _said(self, prepared: _Prepared, send: Send, kept: Kept | NotKept) -> bytes | None:
        """What is answered once it is known whether a message is kept."""
        found, told = prepared.read, prepared.incoming
        if isinstance(kept, NotKept):
            self._metrics.answered(found.feed, "failed")
            return answers.refused(found.received, answers.NOT_KEPT) or None
        if kept.expected is not None:
            return self._out_of_turn(found, told, kept.expected)
        self._count(found.feed, told, kept)
        *before, last = answers.parts(kept.acknowledgment) or [b""]
        for one in before:
            send(one)
        return last or None

    def _out_of_turn(self, found: Read, told: Incoming, expected: int) -> bytes | None:
        """What is answered to a query, and to a message whose number is not the next one: it is not kept."""
        extra = {"feed": found.feed.label, "number": told.sequence, "expected": expected}
        if told.sequence in sequence.QUERIES:
            logger.info("a sender asks for the number that is expected", extra=extra)
        else:
            logger.warning("a message is out of sequence", extra=extra)
            self._metrics.answered(found.feed, "refused")
            self._metrics.step(found.feed, expected)
        return sequence.answer(found, told.sequence, expected) or None

    def _count(self, feed: Feed, told: Incoming, kept: Kept) -> None:
        answer = "repeated" if not kept.new else "accepted" if told.problem is None else "refused"
        self._metrics.answered(feed, answer)
        if kept.new and told.sequence is not None:
            self._metrics.step(feed, 0)
        if kept.new and told.problem is not None:
            code, place = told.problem["code"], told.problem["place"]
            extra = {"feed": feed.label, "hl7_message": kept.id, "code": code, "place": place}
            logger.warning("a message is a dead letter", extra=extra)

    async def _stored(self, feed: Feed, message: Message, kept: Kept, send: Send, patience: _Patience) -> bytes | None:
        """Wait for a message to be stored, and answer what became of it.

        Whoever was promised that it is safe is told nothing when that takes too long; others are told to ask again.
        """
        promised = answers.promised(message)
        if promised:
            send(answers.parts(kept.acknowledgment)[0])
        future = self._settlements.wait(feed.tenant_id, kept.id)
        try:
            async with asyncio.timeout(patience.seconds):
                stored = await asyncio.wrap_future(future)
        except TimeoutError:
            patience.seconds = 0.0
            logger.warning("a message takes long to be stored", extra={"feed": feed.label, "hl7_message": kept.id})
            return None if promised else answers.parts(kept.acknowledgment)[-1]
        finally:
            self._settlements.leave(feed.tenant_id, kept.id, future)
        return (answers.parts(stored)[1 if promised else 0 :] or [b""])[-1] or None

    async def _batch(self, port: int, peer: Peer, found: ReadBatch, turn: _Turn) -> bytes:
        """Each message of a batch has an outcome of its own; the acknowledgments are a batch as well."""
        await turn.come()
        told: list[bytes] = []
        patience = _Patience(self._commit_seconds)
        for start in range(0, len(found.messages), _TOGETHER):
            some = found.messages[start : start + _TOGETHER]
            outcomes = [await self._of_batch(port, peer, raw, patience) for raw in some]
            if start + _TOGETHER >= len(found.messages):
                # All of them are on their way in their order: what comes after the batch may follow.
                turn.end()
            for outcome in await asyncio.gather(*outcomes):
                told.extend(outcome)
        return batch_answers.batch(found, told, answers.control_id(), datetime.now(UTC))

    async def _of_batch(
        self, port: int, peer: Peer, raw: bytes, patience: _Patience
    ) -> Coroutine[None, None, list[bytes]]:
        """Have a message of a batch kept; what waits for that, and tells its answers."""
        feed = self._feeds.recognise(peer, port, heading(raw))
        if feed is None:
            return _told(self._unknown(port, peer, raw))
        found = await _in_thread(len(raw), _read, feed, raw)
        if isinstance(found, ReadBatch):
            found = Read(feed, raw, None, Refused(100, "AE", None, "It is not one message."))
        prepared = await _in_thread(len(raw), self._prepared, found)
        return self._answers(prepared, self._kept(feed, prepared), patience)

    async def _answers(self, prepared: _Prepared, kept: asyncio.Future[Kept], patience: _Patience) -> list[bytes]:
        before: list[bytes] = []
        last = await self._answer(prepared, kept, before.append, patience)
        return [*before, last] if last is not None else before


def _read(feed: Feed, raw: bytes, said: Heading | None = None) -> Read | ReadBatch:
    if len(raw) > feed.limit:
        wrong = f"The message has {len(raw):,} bytes, of which this feed takes {feed.limit:,}."
        return Read(feed, raw, None, Refused(207, "AR", None, wrong))
    return read(feed, raw, said)


async def _in_thread(octets: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Do what takes long for a large message where nobody else waits for it."""
    return await asyncio.to_thread(work, *arguments, **named) if octets > _LARGE else work(*arguments, **named)


async def _told(answer: bytes | None) -> list[bytes]:
    return [] if answer is None else [answer]
