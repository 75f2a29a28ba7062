"""One connection of a sender: frames in, answers out in the same order, and never more at once than is bearable.

https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast

from hl7_gateway.wire.acknowledgment import Problem, acknowledge
from hl7_gateway.wire.intake import Intake
from hl7_gateway.wire.mllp import Frame, Oversize, frame
from hl7_gateway.wire.patience import Patience
from hl7_gateway.wire.peer import Peer, peer
from hl7_gateway.wire.room import Room, Unfinished

logger = logging.getLogger(__name__)

Handler = Callable[[Peer, bytes], Awaitable[bytes | None]]
"""Takes a message and answers its acknowledgment, if one is wanted. Where it fails, the connection is closed without an
answer, so that the sender sends the message again."""

Refuser = Callable[[Peer, Oversize, str], Awaitable[bytes | None]]
"""Answers a frame that is too large to be taken, for the reason that it is given."""


class _Open:
    """A frame that is not answered yet. ``answer`` is framed, and counts once it is ``done``."""

    __slots__ = ("answer", "done", "failed", "future", "octets")

    def __init__(self, octets: int | None) -> None:
        # None: it has no room with the handler.
        self.octets = octets
        self.future: asyncio.Future[bytes | None] | None = None
        self.answer: bytes | None = None
        self.done = False
        self.failed = False


class Connection(asyncio.Protocol):
    """Takes frames, hands them on, and writes what comes back in the order in which the frames came.

    At most ``pipeline`` messages of the connection are not answered yet; then it stops reading, and the sender's
    socket fills up. ``idle`` seconds without a byte while nothing is open end the connection, ``stalled`` seconds
    within a frame, or of a sender that does not read its answers, too. ``refuser`` answers what is too large, where it
    is not to be answered by nothing but its header.
    """

    def __init__(
        self,
        handler: Handler,
        room: Room,
        unfinished: Unfinished,
        *,
        limit: int,
        pipeline: int,
        idle: float | None,
        stalled: float,
        refuser: Refuser | None = None,
    ) -> None:
        self._refuser = refuser
        self.peer = Peer("", 0)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._handler = handler
        self._room = room
        self._unfinished = unfinished
        self._held = 0
        self._limit = limit
        self._intake = Intake(limit)
        self._pipeline = pipeline
        self._patience = Patience(
            idle,
            stalled,
            unfinished=lambda: self._intake.unfinished,
            waits=lambda: self._paused or (bool(self._open) and not self._intake.unfinished),
            end=self._end_idle,
        )
        self._stalled = stalled
        self._open: deque[_Open] = deque()
        self._outside = False  # the first of those that came waits for room
        self._reading = True
        self._paused = False
        self._broken = False
        self._lost = False
        self._full: asyncio.TimerHandle | None = None  # set while the sender does not read its answers
        self._leaving: asyncio.TimerHandle | None = None

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

    @property
    def quiet(self) -> bool:
        """Whether its sender waits for nothing, and is in the middle of nothing."""
        return self._reading and not self._open and self._intake.empty and not self._intake.unfinished

    @property
    def heard(self) -> float:
        """When something came last, in the event loop's time."""
        return self._patience.heard

    def give_way(self) -> None:
        """End at once, for others to have its place; whoever has something to send connects again."""
        self._give_up("a connection makes room for another one")

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._secured = transport.get_extra_info("ssl_object") is not None
        self.peer = peer(transport, self._send)
        self._intake.who = self._who()
        self._patience.hear()
        self._patience.begin()

    def data_received(self, data: bytes) -> None:
        if not self._reading:
            return
        self._patience.hear()
        self._intake.take(data)
        self._go_on()
        if self._intake.endless:
            logger.warning("what comes is no HL7 v2: the connection is closed", extra=self._who())
            self._end_reading()
        else:
            self._patience.begin()

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
        self._patience.stop()
        for timer in (self._full, self._leaving):
            if timer is not None:
                timer.cancel()
        self._full = self._leaving = None
        if not self._outside:
            self._intake.clear()
        self._intake.end()
        # What is with the handler goes on.
        self._go_on()

    # Frames in, answers out.

    def _go_on(self) -> None:
        """Hand on what came as far as it is bearable, write what is answered, and read on where nothing is left."""
        self._write()
        while self._take():
            self._write()
        if self._intake.held != self._held:
            self._held = self._intake.held
            self._unfinished.note(self, self._held, self._let_go)
        full = not self._intake.empty or len(self._open) >= self._pipeline
        if self._reading and full != self._paused:
            self._paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._patience.hear()
                self._transport.resume_reading()
        if not self._reading:
            self._end_if_answered()

    def _take(self) -> bool:
        """Hand on what came; whether any of it is answered already."""
        intake = self._intake
        if (self._broken or self._lost) and not self._outside:
            # Nobody waits for them any more.
            intake.clear()
        while not self._outside and len(self._open) < self._pipeline and (first := intake.first) is not None:
            if isinstance(first, Oversize):
                intake.hand_on()
                self._refuse(first)
            elif self._room.enter(len(first.payload), self._let_in):
                intake.hand_on()
                self._hand_on(first.payload)
            else:
                self._outside = True
        return bool(self._open) and self._open[0].done and self._full is None

    def _let_in(self) -> None:
        """There is room for the first of those that came."""
        self._outside = False
        payload = cast("Frame", self._intake.first).payload
        self._intake.hand_on()
        if self._lost or self._broken:
            # Not at once: it is others' turn to be let in.
            self._loop.call_soon(self._room.leave, len(payload))
        else:
            self._hand_on(payload)
        self._go_on()

    def _hand_on(self, payload: bytes) -> None:
        self._ask(_Open(len(payload)), lambda: self._handler(self.peer, payload))

    def _ask(self, one: _Open, answer: Callable[[], Awaitable[bytes | None]]) -> None:
        self._open.append(one)
        future: asyncio.Future[bytes | None]
        try:
            future = asyncio.ensure_future(answer())
        except Exception as error:  # noqa: BLE001 - told when it is this one's turn
            future = self._loop.create_future()
            future.set_exception(error)
        one.future = future
        future.add_done_callback(lambda _: self._done(one))

    def _refuse(self, large: Oversize) -> None:
        said = f"the message has {large.size:,} bytes, of which this feed takes {self._limit:,}"
        logger.warning("a message is too large", extra={**self._who(), "bytes": large.size})
        refuser = self._refuser
        if refuser is not None:
            self._ask(_Open(None), lambda: refuser(self.peer, large, said))
            return
        problem = Problem(207, None, said)
        one = _Open(None)
        one.answer = frame(acknowledge(large.head, "AR", uuid.uuid4().hex[:20], [problem], datetime.now(UTC)))
        one.done = True
        self._open.append(one)

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
        if one.octets is not None:
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
        if self._open or not self._intake.empty:
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

    def _let_go(self) -> None:
        self._give_up("more of messages that are not done is held than there is room for")

    def _send(self, payload: bytes) -> None:
        if self._lost or self._transport.is_closing():
            raise ConnectionError("The sender is gone.")
        self._transport.write(frame(payload))

    def _end_idle(self) -> None:
        if self._reading:
            logger.info("a connection is idle and closed", extra=self._who())
            self._end_reading()

    def _who(self) -> dict[str, object]:
        return {"peer": self.peer.address, "peer_port": self.peer.port}
