"""One connection of a sender: frames in, answers out in the same order, and never more at once than is bearable.

https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, cast

from hl7_gateway.wire.acknowledgment import Problem, acknowledge
from hl7_gateway.wire.mllp import Event, Frame, Frames, Noise, Oversize, frame
from hl7_gateway.wire.peer import Peer, peer
from hl7_gateway.wire.room import Room

logger = logging.getLogger(__name__)

Handler = Callable[[Peer, bytes], Awaitable[bytes | None]]
"""Takes a message and answers its acknowledgment, if one is wanted. Where it fails, the connection is closed without an
answer, so that the sender sends the message again."""

_UNFRAMED: Final = 1_048_576
"""How many bytes of no frame are put up with: who sends more speaks another protocol."""

_ENDLESS: Final = 4
"""How many times the largest size a frame may go on before the connection is given up."""


class _Open:
    """A frame that is not answered yet. ``answer`` is framed, and counts once it is ``done``."""

    __slots__ = ("answer", "done", "failed", "future", "octets")

    def __init__(self, octets: int) -> None:
        self.octets = octets
        self.future: asyncio.Future[bytes | None] | None = None
        self.answer: bytes | None = None
        self.done = False
        self.failed = False


class Connection(asyncio.Protocol):
    """Takes frames, hands them on, and writes what comes back in the order in which the frames came.

    At most ``pipeline`` messages of the connection are not answered yet; then it stops reading, and the sender's
    socket fills up. ``idle`` seconds without a byte while nothing is open end the connection, ``stalled`` seconds
    within a frame, or of a sender that does not read its answers, too.
    """

    def __init__(
        self, handler: Handler, room: Room, *, limit: int, pipeline: int, idle: float | None, stalled: float
    ) -> None:
        self.peer = Peer("", 0)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._handler = handler
        self._room = room
        self._limit = limit
        self._frames = Frames(limit)
        self._pipeline = pipeline
        self._idle = idle
        self._stalled = stalled
        self._came: deque[Frame | Oversize] = deque()
        self._open: deque[_Open] = deque()
        self._outside = False  # the first of those that came waits for room
        self._reading = True
        self._paused = False
        self._broken = False
        self._lost = False
        self._full: asyncio.TimerHandle | None = None  # set while the sender does not read its answers
        self._leaving: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._looks: asyncio.TimerHandle | None = None
        self._noise: Counter[str] = Counter()

    async def ended(self) -> None:
        """Wait until the connection is gone and nothing of it is with the handler; who gives that up cuts it off."""
        try:
            await self._ended
        except asyncio.CancelledError:
            self._transport.abort()
            for one in self._open:
                if one.future is not None:
                    one.future.cancel()
            raise

    def close(self) -> None:
        """Read no more; what was read is still answered."""
        self._end_reading()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._secured = transport.get_extra_info("ssl_object") is not None
        self.peer = peer(transport, self._send)
        self._heard = self._loop.time()
        self._be_patient()

    def data_received(self, data: bytes) -> None:
        if not self._reading:
            return
        self._heard = self._loop.time()
        for event in self._frames.feed(data):
            if isinstance(event, Noise):
                self._tell_noise(event)
            else:
                self._came.append(event)
        self._go_on()
        if self._frames.unframed > _UNFRAMED or self._frames.pending > _ENDLESS * self._limit + _UNFRAMED:
            logger.warning("what comes is no HL7 v2: the connection is closed", extra=self._who())
            self._end_reading()
        elif self._looks is None or self._frames.pending:
            self._be_patient()

    def eof_received(self) -> bool:
        self._end_reading()
        # The other half stays open for the answers, which TLS does not know.
        return not self._secured

    def pause_writing(self) -> None:
        self._full = self._loop.call_later(self._stalled, self._give_up, "a sender does not take its answers")

    def resume_writing(self) -> None:
        if self._full is not None:
            self._full.cancel()
            self._full = None
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._reading = False
        for timer in (self._full, self._looks, self._leaving):
            if timer is not None:
                timer.cancel()
        self._full = self._looks = self._leaving = None
        for noise in self._frames.close():
            self._tell_noise(noise)
        # What is with the handler goes on.
        self._go_on()

    # Frames in, answers out.

    def _go_on(self) -> None:
        """Hand on what came as far as it is bearable, write what is answered, and read on where nothing is left."""
        self._write()
        while self._take():
            self._write()
        full = bool(self._came) or len(self._open) >= self._pipeline
        if self._reading and full != self._paused:
            self._paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._heard = self._loop.time()
                self._transport.resume_reading()
        if not self._reading:
            self._end_if_answered()

    def _take(self) -> bool:
        """Hand on what came; whether any of it is answered already."""
        came = self._came
        if (self._broken or self._lost) and not self._outside:
            # Nobody waits for them any more.
            came.clear()
        while came and not self._outside and len(self._open) < self._pipeline:
            first = came[0]
            if isinstance(first, Oversize):
                came.popleft()
                self._open.append(self._refuse(first))
            elif self._room.enter(len(first.payload), self._let_in):
                came.popleft()
                self._hand_on(first.payload)
            else:
                self._outside = True
        return bool(self._open) and self._open[0].done and self._full is None

    def _let_in(self) -> None:
        """There is room for the first of those that came."""
        self._outside = False
        payload = cast("Frame", self._came.popleft()).payload
        if self._lost or self._broken:
            # Not at once: it is others' turn to be let in.
            self._loop.call_soon(self._room.leave, len(payload))
        else:
            self._hand_on(payload)
        self._go_on()

    def _hand_on(self, payload: bytes) -> None:
        one = _Open(len(payload))
        self._open.append(one)
        future: asyncio.Future[bytes | None]
        try:
            future = asyncio.ensure_future(self._handler(self.peer, payload))
        except Exception as error:  # noqa: BLE001 - told when it is this one's turn
            future = self._loop.create_future()
            future.set_exception(error)
        one.future = future
        future.add_done_callback(lambda _: self._done(one))

    def _refuse(self, large: Oversize) -> _Open:
        said = f"the message has {large.size:,} bytes, of which this feed takes {self._limit:,}"
        logger.warning("a message is too large", extra={**self._who(), "bytes": large.size})
        problem = Problem(207, None, said)
        one = _Open(0)
        one.answer = frame(acknowledge(large.head, "AR", uuid.uuid4().hex[:20], [problem], datetime.now(UTC)))
        one.done = True
        return one

    def _done(self, one: _Open) -> None:
        future = cast("asyncio.Future[bytes | None]", one.future)
        one.done = True
        try:
            answer = future.result()
            one.answer = frame(answer) if answer is not None else None
        except asyncio.CancelledError:
            one.failed = True
        except Exception as error:
            # Its sender has no answer, and sends it again.
            one.failed = True
            logger.error("a message was not taken", exc_info=error, extra=self._who())
        if self._open[0].done:
            self._go_on()
        self._room.leave(one.octets)

    def _write(self) -> None:
        """Write the answers that are next in the order of the frames, whatever order they are ready in."""
        answers = []
        while self._open and self._open[0].done and self._full is None:
            one = self._open.popleft()
            if one.failed:
                # What comes after is not answered either: its sender would take an answer for that of another one.
                self._broken = True
                self._stop_reading()
            elif one.answer is not None and not self._broken:
                answers.append(one.answer)
        if answers and not self._lost:
            self._transport.write(answers[0] if len(answers) == 1 else b"".join(answers))

    def _end_reading(self) -> None:
        if self._reading:
            self._stop_reading()
            self._end_if_answered()

    def _stop_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._transport.pause_reading()
        self._reading = False

    def _end_if_answered(self) -> None:
        if self._open or self._came:
            return
        if self._lost:
            if not self._ended.done():
                self._ended.set_result(None)
        elif not self._transport.is_closing():
            self._transport.close()
            self._leaving = self._loop.call_later(self._stalled, self._give_up, "a sender did not say good-bye")

    def _give_up(self, why: str) -> None:
        logger.info(why, extra=self._who())
        self._broken = True
        self._stop_reading()
        self._transport.abort()

    def _send(self, payload: bytes) -> None:
        if self._lost or self._transport.is_closing():
            raise ConnectionError("The sender is gone.")
        self._transport.write(frame(payload))

    # Patience.

    def _be_patient(self) -> None:
        """See to it that somebody looks when nothing has come for as long as may be."""
        patience = self._stalled if self._frames.pending else self._idle
        if patience is None or not self._reading:
            return
        due = self._heard + patience
        if self._looks is not None:
            if self._looks.when() <= due:
                return
            self._looks.cancel()
        self._looks = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._looks = None
        patience = self._stalled if self._frames.pending else self._idle
        if patience is None or not self._reading:
            return
        now = self._loop.time()
        if self._paused or (self._open and not self._frames.pending):
            # It is not idle: it waits for us.
            self._heard = now
        if now - self._heard < patience:
            self._be_patient()
            return
        logger.info("a connection is idle and closed", extra=self._who())
        self._end_reading()

    def _tell_noise(self, event: Event) -> None:
        """Log what is of no frame: each kind once for a connection, however often it comes."""
        if not isinstance(event, Noise):
            return
        self._noise[event.reason] += 1
        if self._noise[event.reason] == 1:
            extra = {**self._who(), "bytes": event.count, "reason": event.reason}
            logger.warning("a sender does not frame its messages well", extra=extra)

    def _who(self) -> dict[str, object]:
        return {"peer": self.peer.address, "peer_port": self.peer.port}
