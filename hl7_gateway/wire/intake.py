"""What has come over a connection and is not handed on yet. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from hl7_gateway.wire.mllp import Event, Frame, Frames, Noise, Oversize

logger = logging.getLogger(__name__)

_UNFRAMED: Final = 1_048_576
"""How many bytes of no frame are put up with: who sends more speaks another protocol."""

_ENDLESS: Final = 4
"""How many times the largest size a frame may go on before the connection is given up."""

_PIECE: Final = 4_096
"""How many bytes are cut into frames before the first of those are handed on: a frame may have two bytes, and costs
some hundred when it is cut."""


class Intake:
    """Cuts what comes into frames of at most ``limit`` bytes, a piece whenever all frames before are handed on.

    ``who`` is told in logs of whoever does not frame messages well.
    """

    def __init__(self, limit: int) -> None:
        self.who: Mapping[str, object] = {}
        self._limit = limit
        self._frames = Frames(limit)
        self._came: deque[Frame | Oversize] = deque()
        self._rest = b""
        self._at = 0
        self._noise: Counter[str] = Counter()

    def take(self, data: bytes) -> None:
        """Bytes that have come."""
        if self._rest:
            self._rest = self._rest[self._at :] + data
            self._at = 0
        elif len(data) <= _PIECE:
            self._cut(data)
        else:
            self._rest = data
            self._fill()

    def end(self) -> None:
        """No more bytes come; the frame that is not done is lost."""
        self._fill()
        for noise in self._frames.close():
            self._tell(noise)

    @property
    def first(self) -> Frame | Oversize | None:
        """The next one that is to be handed on."""
        if not self._came:
            if not self._rest:
                return None
            self._fill()
        return self._came[0] if self._came else None

    def hand_on(self) -> None:
        """The first one is handed on."""
        self._came.popleft()

    def clear(self) -> None:
        """Nobody waits for what came any more."""
        self._came.clear()
        self._rest, self._at = b"", 0

    @property
    def empty(self) -> bool:
        """Whether all that came is handed on, but for a frame that is not done."""
        return not self._came and not self._rest

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun that is not done."""
        return self._frames.pending > 0

    @property
    def held(self) -> int:
        """How many bytes are kept of a frame that is not done."""
        return self._frames.held

    @property
    def endless(self) -> bool:
        """Whether it is no HL7 v2 that comes."""
        frames = self._frames
        return frames.unframed > _UNFRAMED or frames.pending > _ENDLESS * self._limit + _UNFRAMED

    def _fill(self) -> None:
        """Cut what is left until there is a frame to be handed on."""
        while self._rest and not self._came:
            piece = self._rest[self._at : self._at + _PIECE]
            self._at += len(piece)
            if self._at >= len(self._rest):
                self._rest, self._at = b"", 0
            self._cut(piece)

    def _cut(self, data: bytes) -> None:
        for event in self._frames.feed(data):
            if isinstance(event, Noise):
                self._tell(event)
            else:
                self._came.append(event)

    def _tell(self, event: Event) -> None:
        """Log what is of no frame: each kind once for a connection, however often it comes."""
        if not isinstance(event, Noise):
            return
        self._noise[event.reason] += 1
        if self._noise[event.reason] == 1:
            extra = {**self.who, "bytes": event.count, "reason": event.reason}
            logger.warning("a sender does not frame its messages well", extra=extra)
