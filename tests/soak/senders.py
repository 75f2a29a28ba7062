"""Senders as hospitals have them: one message at a time, sent again until it is answered, over as many connections
as it takes. docs/soak.md"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from random import Random
from typing import Final

from hl7_gateway import answers
from hl7_gateway.message import Message
from hl7_gateway.wire.client import Answer, read
from hl7_gateway.wire.mllp import Frame, Frames, frame
from tests.soak.instance import HOST

_AGAIN: Final = {answers.NOT_KEPT.said, answers.PENDING.said}
"""What asks for the same message once more."""

_PATIENCE: Final = 30.0
_PAUSE: Final = 0.1
_TWICE: Final = 0.05
"""The share of messages that are sent once more although they were answered."""


@dataclass
class Line:
    """One sender: what it has to tell, and what it has been answered, by control id in the order of sending."""

    application: str
    tale: Iterator[bytes]
    seed: int
    sent: list[bytes] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)
    again: int = 0
    waits: bool = False


class Senders:
    """Lines that send from a thread of their own until they are told to stop, or have told all.

    Those whose messages are acknowledged when they are safe send one for each ``pace`` messages that the others have
    had stored, so that what waits does not grow without end.
    """

    def __init__(self, port: int, lines: Sequence[Line], pace: float = 1.0) -> None:
        self.lines = lines
        self.counts: Counter[str] = Counter()
        self._port = port
        self._pace = pace
        self._stopping = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="senders", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Have each line finish the message that it is at."""
        self._stopping.set()
        self.wait()

    def wait(self, seconds: float = 1800) -> None:
        """Wait for all lines to end."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"messages are not answered: {self.waiting()}"
        self.check()

    def check(self) -> None:
        """Raise what has ended a line before its time."""
        if self._failures:
            raise self._failures[0]

    def answered(self, application: str) -> int:
        """How many messages of a kind of senders have had their last answer."""
        return sum(len(line.answered) for line in self.lines if line.application == application)

    def waiting(self) -> Counter[str]:
        """How many messages of each kind are on their way at this moment."""
        return Counter(line.application for line in self.lines if line.waits)

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:
            self._failures.append(error)
            raise

    async def _all(self) -> None:
        self._due = asyncio.Semaphore(50)
        async with asyncio.TaskGroup() as group:
            for line in self.lines:
                group.create_task(self._line(line))

    async def _line(self, line: Line) -> None:
        random = Random(line.seed)
        credit = 0.0
        async with Wire(self._port, line, self.counts) as wire:
            for raw in takewhile(lambda _: not self._stopping.is_set(), line.tale):
                if line.application == "SAFE" and not await self._turn():
                    return
                line.sent.append(raw)
                control_id = Message(raw.decode()).control_id
                told = await wire.insist(raw)
                line.answered[control_id] = read(told).code
                if random.random() < _TWICE:
                    assert await wire.insist(raw) == told, f"{control_id} is answered otherwise when it comes again"
                    self.counts["sent twice"] += 1
                if line.application == "STORED":
                    credit += self._pace
                    while credit >= 1:
                        credit -= 1
                        self._due.release()

    async def _turn(self) -> bool:
        """Wait until another message may be sent; False at the end."""
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(1):
                    await self._due.acquire()
            except TimeoutError:
                if not any(line.waits for line in self.lines if line.application == "STORED"):
                    return True
            else:
                return True
        return False


class Wire:
    """The connection of one line, made again whenever it is lost."""

    def __init__(self, port: int, line: Line, counts: Counter[str]) -> None:
        self._port = port
        self._line = line
        self._counts = counts
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._frames = Frames(1_048_576)

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drop()

    async def insist(self, raw: bytes) -> bytes:
        """Send a message until it has its last answer; the bytes of that."""
        self._line.waits = True
        try:
            while True:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        told = await self._exchange(raw)
                except TimeoutError:
                    self._counts["no answer in time"] += 1
                except OSError:
                    self._counts["not connected" if self._streams is None else "connection lost"] += 1
                else:
                    answer = read(told)
                    if not _asks_again(answer):
                        return told
                    self._counts[_said(answer)] += 1
                    self._line.again += 1
                    await asyncio.sleep(_PAUSE)
                    continue
                self._drop()
                self._line.again += 1
                await asyncio.sleep(_PAUSE)
        finally:
            self._line.waits = False

    async def _exchange(self, raw: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
            self._frames = Frames(1_048_576)
        reader, writer = self._streams
        writer.write(frame(raw))
        while data := await reader.read(65_536):
            for event in self._frames.feed(data):
                assert isinstance(event, Frame), event
                return event.payload
        raise ConnectionError("the connection is closed")

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _said(answer: Answer) -> str:
    return answer.complaints[0].said if answer.complaints else answer.said


def _asks_again(answer: Answer) -> bool:
    return not answer.accepted and _said(answer) in _AGAIN


def lines(seed: int, each: int, tale: Callable[[str, int], Iterator[bytes]]) -> list[Line]:
    """``each`` lines for each policy of acknowledgment, with patients of their own."""
    found = []
    for application in ("SAFE", "STORED"):
        for _ in range(each if application == "SAFE" else 2 * each):
            own = seed * 100 % 90_000 + len(found)
            found.append(Line(application, tale(application, own), own))
    return found


def told_again(told: Sequence[Line]) -> list[Line]:
    """The same messages for another instance."""
    return [Line(line.application, iter(line.sent), line.seed) for line in told]


def insist(port: int, line: Line, raw: bytes, counts: Counter[str]) -> bytes:
    """Send one message over a connection of its own until it has its last answer; the bytes of that."""

    async def send() -> bytes:
        async with Wire(port, line, counts) as wire:
            return await wire.insist(raw)

    return asyncio.run(send())
