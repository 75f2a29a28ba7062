"""One connection of a sender: frames in, answers out in the same order, and never more at once than is bearable.

https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Final

from hl7_gateway.wire.acknowledgment import Problem, acknowledge
from hl7_gateway.wire.mllp import Event, Frame, Frames, Oversize, frame
from hl7_gateway.wire.peer import Peer, peer

logger = logging.getLogger(__name__)

Handler = Callable[[Peer, bytes], Awaitable[bytes | None]]
"""Takes a message and answers its acknowledgment, if one is wanted. Where it fails, the connection is closed without an
answer, so that the sender sends the message again."""

_CHUNK: Final = 65_536
_UNFRAMED: Final = 1_048_576
"""How many bytes of no frame are put up with: who sends more speaks another protocol."""

_ENDLESS: Final = 4
"""How many times the largest size a frame may go on before the connection is given up."""


class Room:
    """How many messages, and bytes of them, are with handlers at once over all connections of a listener."""

    def __init__(self, messages: int, octets: int) -> None:
        self._messages = messages
        self._octets = octets
        self._held = 0
        self._held_octets = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def held(self) -> int:
        """How many messages are with handlers."""
        return self._held

    async def enter(self, octets: int) -> None:
        """Wait for a turn and for room. A message that is larger than all the room goes in alone."""
        async with self._turn:
            while not self._fits(octets):
                self._changed.clear()
                await self._changed.wait()
            self._held += 1
            self._held_octets += octets

    def leave(self, octets: int) -> None:
        """Give the room back."""
        self._held -= 1
        self._held_octets -= octets
        self._changed.set()

    def _fits(self, octets: int) -> bool:
        return not self._held or (self._held < self._messages and self._held_octets + octets <= self._octets)


class Connection:
    """Reads frames, hands them on, and writes what comes back in the order in which the frames came.

    At most ``pipeline`` messages of the connection are not answered yet; then it stops reading, and the sender's
    socket fills up. ``idle`` seconds without a byte while nothing is open end the connection, ``stalled`` seconds
    within a frame, or of a sender that does not read its answers, too.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Handler,
        room: Room,
        *,
        limit: int,
        pipeline: int,
        idle: float | None,
        stalled: float,
    ) -> None:
        self.peer = peer(writer, self._send)
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._room = room
        self._limit = limit
        self._frames = Frames(limit)
        self._answers: asyncio.Queue[asyncio.Task[bytes | None] | None] = asyncio.Queue()
        self._places = asyncio.Semaphore(pipeline)
        self._idle = idle
        self._stalled = stalled
        self._tasks: set[asyncio.Task[bytes | None]] = set()
        self._closing = False
        self._reading: asyncio.Task[None] | None = None
        self._receiving = False
        self._noise: Counter[str] = Counter()

    async def run(self) -> None:
        """Serve the connection until either side ends it; what was read completely is answered."""
        answering = asyncio.create_task(self._answer())
        self._reading = reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
            self._answers.put_nowait(None)
            await answering
            self._writer.close()
            async with asyncio.timeout(self._stalled):
                await self._writer.wait_closed()
        except OSError:
            logger.info("a sender did not say good-bye", extra=self._who())
        finally:
            self._writer.transport.abort()
            for task in (reading, answering, *self._tasks):
                task.cancel()
            self._tell_noise(self._frames.close())
        error = None if reading.cancelled() else reading.exception()
        if error is not None:
            raise error

    def close(self) -> None:
        """Read no more; what was read is still answered."""
        self._closing = True
        if self._reading is not None and self._receiving:
            self._reading.cancel()

    async def _read(self) -> None:
        while not self._closing:
            data = await self._receive()
            if not data:
                return
            events = self._frames.feed(data)
            self._tell_noise(events)
            for event in events:
                if isinstance(event, Frame):
                    await self._take(self._handle(event.payload))
                elif isinstance(event, Oversize):
                    await self._take(self._refuse(event))
            if self._frames.unframed > _UNFRAMED or self._frames.pending > _ENDLESS * self._limit + _UNFRAMED:
                logger.warning("what comes is no HL7 v2: the connection is closed", extra=self._who())
                return

    async def _receive(self) -> bytes:
        """The next bytes; none at the end, or when nothing came for too long."""
        while True:
            patience = self._stalled if self._frames.pending else self._idle
            try:
                async with asyncio.timeout(patience) as waiting:
                    self._receiving = True
                    return await self._reader.read(_CHUNK)
            except OSError:
                if waiting.expired() and self._tasks and not self._frames.pending:
                    # It is not idle: it waits for us.
                    continue
                if waiting.expired():
                    logger.info("a connection is idle and closed", extra=self._who())
                return b""
            finally:
                self._receiving = False

    async def _take(self, answer: Coroutine[None, None, bytes | None]) -> None:
        await self._places.acquire()
        task = asyncio.create_task(answer)
        self._tasks.add(task)
        self._answers.put_nowait(task)

    async def _handle(self, payload: bytes) -> bytes | None:
        octets = len(payload)
        await self._room.enter(octets)
        try:
            answer = await self._handler(self.peer, payload)
        finally:
            self._room.leave(octets)
        return frame(answer) if answer is not None else None

    async def _refuse(self, large: Oversize) -> bytes:
        said = f"the message has {large.size:,} bytes, of which this feed takes {self._limit:,}"
        logger.warning("a message is too large", extra={**self._who(), "bytes": large.size})
        problem = Problem(207, None, said)
        return frame(acknowledge(large.head, "AR", uuid.uuid4().hex[:20], [problem], datetime.now(UTC)))

    async def _answer(self) -> None:
        """Write answers in the order of the frames, whatever order they are ready in."""
        broken = False
        while (task := await self._answers.get()) is not None:
            await asyncio.wait({task})
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                logger.error("a message was not taken", exc_info=error, extra=self._who())
            if broken or error is not None or task.cancelled():
                # What comes after is not answered either: its sender would take an answer for that of another one.
                broken = True
                self.close()
            else:
                answer = task.result()
                broken = answer is not None and not await self._write(answer)
            self._places.release()

    async def _write(self, framed: bytes) -> bool:
        self._writer.write(framed)
        try:
            async with asyncio.timeout(self._stalled):
                await self._writer.drain()
        except OSError:
            logger.info("a sender does not take its answers", extra=self._who())
            self._writer.transport.abort()
            self.close()
            return False
        return True

    def _send(self, payload: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionError("The sender is gone.")
        self._writer.write(frame(payload))

    def _tell_noise(self, events: list[Event]) -> None:
        """Log what is of no frame: each kind once for a connection, however often it comes."""
        for event in events:
            if isinstance(event, Frame | Oversize):
                continue
            self._noise[event.reason] += 1
            if self._noise[event.reason] == 1:
                extra = {**self._who(), "bytes": event.count, "reason": event.reason}
                logger.warning("a sender does not frame its messages well", extra=extra)

    def _who(self) -> dict[str, object]:
        return {"peer": self.peer.address, "peer_port": self.peer.port}
