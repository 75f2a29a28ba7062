"""Frames of the minimal lower layer protocol, cut out of a stream of bytes and made.

https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c"
LAST: Final = b"\r"

HEAD: Final = 8_192
"""How much is kept of a frame that is too large: enough to acknowledge it by its header."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stood between the start and the end of a frame."""

    payload: bytes

    def __repr__(self) -> str:
        return f"Frame({len(self.payload)} bytes)"


@dataclass(frozen=True, slots=True)
class Oversize:
    """A frame that is larger than allowed and was not kept: ``size`` bytes, of which ``head`` is the beginning."""

    size: int
    head: bytes

    def __repr__(self) -> str:
        return f"Oversize({self.size} bytes)"


@dataclass(frozen=True, slots=True)
class Noise:
    """``count`` bytes that are of no frame, and why; none where only the carriage return after a frame is missing."""

    count: int
    reason: str


OUTSIDE: Final = "outside of a frame"
UNENDED: Final = "a frame without an end"
NO_RETURN: Final = "no carriage return after a frame"

Event = Frame | Oversize | Noise


class Frames:
    """Cuts a stream into frames, however it comes in pieces, in time and memory that grow with its bytes only.

    A frame is done with its end character already: a sender that forgets the carriage return after it waits for its
    acknowledgment, and must not wait for ever.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._inside = False
        self._ended = False
        self._size = 0
        self._noise = 0

    @property
    def unframed(self) -> int:
        """How many bytes came since the last frame that are of none."""
        return self._noise

    @property
    def pending(self) -> int:
        """How many bytes of the frame that is not done yet came, kept or not."""
        return self._size

    @property
    def held(self) -> int:
        """How many bytes of the frame that is not done yet are kept."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete."""
        events: list[Event] = []
        position, length = 0, len(data)
        start = end = -2  # where the next of each is; -2 before it was looked for, -1 where there is none
        while position < length:
            if self._ended:
                self._ended = False
                if data[position] == LAST[0]:
                    position += 1
                else:
                    events.append(Noise(0, NO_RETURN))
                continue
            if -1 != start < position:
                start = data.find(START, position)
            if not self._inside:
                stop = start if start >= 0 else length
                self._noise += stop - position
                position = stop + 1
                if start >= 0:
                    events += self._begin()
                continue
            if -1 != end < position:
                end = data.find(END, position)
            stop = min(one for one in (start, end, length) if one >= 0)
            self._keep(data, position, stop)
            position = stop + 1
            if stop == end:
                events.append(self._finish())
                self._ended = True
            elif stop == start:
                # The end of the last frame was lost; the sender will send it once more.
                events.append(Noise(self._size, UNENDED))
                events += self._begin()
        return events

    def close(self) -> list[Event]:
        """What is left when no more bytes come."""
        events: list[Event] = []
        if self._ended:
            events.append(Noise(0, NO_RETURN))
        if self._inside:
            events.append(Noise(self._size, UNENDED))
        if self._noise:
            events.append(Noise(self._noise, OUTSIDE))
        self._inside = self._ended = False
        self._size = self._noise = 0
        self._buffer = bytearray()
        return events

    def _begin(self) -> list[Event]:
        noise: list[Event] = [Noise(self._noise, OUTSIDE)] if self._noise else []
        self._noise = 0
        self._inside = True
        self._size = 0
        self._buffer = bytearray()
        return noise

    def _keep(self, data: bytes, position: int, stop: int) -> None:
        self._size += stop - position
        if self._size <= self._limit:
            self._buffer += memoryview(data)[position:stop]
        elif len(self._buffer) > HEAD:
            self._buffer = self._buffer[:HEAD]
        elif len(self._buffer) < HEAD:
            self._buffer += memoryview(data)[position : min(stop, position + HEAD - len(self._buffer))]

    def _finish(self) -> Event:
        self._inside = False
        payload = bytes(self._buffer)
        self._buffer = bytearray()
        size, self._size = self._size, 0
        return Frame(payload) if size <= self._limit else Oversize(size, payload[:HEAD])


def frame(payload: bytes) -> bytes:
    """The frame of a message. Raises ValueError for one that holds the characters that frame it."""
    if START in payload or END in payload:
        raise ValueError("A message must not hold the bytes 0B and 1C, which begin and end its frame.")
    return START + payload + END + LAST
