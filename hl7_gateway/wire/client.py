"""Messages sent over MLLP, and what is answered, matched by MSA-2.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.9 Message processing rules"
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from hl7_gateway.message import Message, Segment
from hl7_gateway.problems import Hl7Error, Malformed
from hl7_gateway.wire import charset
from hl7_gateway.wire.acknowledgment import Modes, modes
from hl7_gateway.wire.mllp import Frame, Frames, frame

_LIMIT: Final = 1_048_576
"""The largest acknowledgment that is read."""

_CHUNK: Final = 65_536


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters that are nothing to be read, and one that no column of a database takes."""


class Unanswered(Hl7Error):
    """A message whose acknowledgment did not come: whether it was taken is not known."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """An ERR segment as it was received: the code of table 0357, the place (PID-3.1) and what it says."""

    code: str
    place: str
    said: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgment as it was received: MSA-1, MSA-2, and what the receiver says."""

    code: str
    control_id: str
    said: str
    complaints: tuple[Complaint, ...]

    @property
    def accepted(self) -> bool:
        """AA or CA."""
        return self.code in ("AA", "CA")


def read(raw: bytes) -> Answer:
    """An acknowledgment. Raises Malformed for bytes that are none."""
    message = Message(charset.decode(raw, charset.declared(raw), "UNICODE UTF-8", "replace"))
    msa = message.first("MSA")
    if msa is None:
        raise Malformed("What was answered is no acknowledgment: it has no MSA segment.")
    complaints = [one for error in message.all("ERR") for one in _complaints(error)]
    return Answer(_plain(msa.text(1).upper()), msa.text(2), _plain(msa.first(3).whole), tuple(complaints))


def _complaints(error: Segment) -> list[Complaint]:
    if error[3]:
        numbers = [error.first(2).component(part).text for part in range(1, 7)]
        return [_complaint(error.text(3), numbers, error.first(8).whole or error.text(3, 2))]
    # Before 2.5: segment, which one, field and the code together.
    found = []
    for value in error.repetitions(1):
        numbers = [value.component(part).text for part in (1, 2, 3)]
        code = value.component(4)
        found.append(_complaint(code.text, numbers, code.component(2).text))
    return found


def _complaint(code: str, numbers: Sequence[str], said: str) -> Complaint:
    return Complaint(_plain(code), _plain(_place(numbers)), _plain(said))


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _place(parts: Sequence[str]) -> str:
    """PID-3.1 from the parts of ERR-2 or ERR-1."""
    segment, number, field, repetition, component, subcomponent = (*parts, "", "", "", "", "")[:6]
    text = segment + (f"[{number}]" if number not in ("", "1") else "")
    if field:
        text += f"-{field}" + (f"[{repetition}]" if repetition not in ("", "1") else "")
    for inner in (component, subcomponent):
        text += f".{inner}" if field and inner else ""
    return text


class Sender:
    """One connection to a receiver, made when it is needed and made again when it was lost; one message at a time.

    ``timeout`` seconds are waited for a connection, and for each acknowledgment.
    """

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None, timeout: float = 30.0) -> None:
        self._address = (host, port)
        self._tls = tls
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._frames = Frames(_LIMIT)
        self._read: list[bytes] = []

    async def send(self, message: bytes) -> Answer | None:
        """Send a message and wait for its last acknowledgment, None where it wants none.

        Raises OSError where there is no connection, Unanswered where no acknowledgment came, and Malformed where
        something else did. A connection that turns out to be gone is made once more before that.
        """
        control_id, wants = _expected(message)
        framed = frame(message)
        async with self._turn:
            kept = self._streams is not None
            while True:
                streams = await self._connected()
                try:
                    return await self._exchange(streams, framed, control_id, wants)
                except (ConnectionError, asyncio.IncompleteReadError):
                    await self._drop()
                    if not kept:
                        raise Unanswered("The receiver closed the connection without an acknowledgment.") from None
                kept = False

    async def close(self) -> None:
        """Close the connection. The next message makes a new one."""
        async with self._turn:
            await self._drop()

    async def __aenter__(self) -> Sender:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _exchange(
        self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], framed: bytes, control_id: str, wants: Modes
    ) -> Answer | None:
        reader, writer = streams
        try:
            async with asyncio.timeout(self._timeout):
                writer.write(framed)
                await writer.drain()
                return await self._awaited(reader, control_id, wants)
        except TimeoutError:
            # What is answered later would be taken for the answer to the next message.
            await self._drop()
            if wants in (Modes("NE", "ER"), Modes("ER", "NE"), Modes("ER", "ER")):
                return None
            raise Unanswered(f"No acknowledgment came within {self._timeout:g} seconds.") from None
        except (Malformed, asyncio.CancelledError):
            await self._drop()
            raise

    async def _awaited(self, reader: asyncio.StreamReader, control_id: str, wants: Modes) -> Answer | None:
        if wants == Modes("NE", "NE"):
            return None
        while True:
            answer = read(await self._next(reader))
            if control_id and answer.control_id and answer.control_id != control_id:
                # Of a message before this one, which nobody waits for any more.
                continue
            if answer.code == "CA" and wants.application in ("AL", "SU"):
                continue
            return answer

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        while not self._read:
            data = await reader.read(_CHUNK)
            if not data:
                raise asyncio.IncompleteReadError(b"", None)
            self._read += [event.payload for event in self._frames.feed(data) if isinstance(event, Frame)]
        return self._read.pop(0)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            async with asyncio.timeout(self._timeout):
                try:
                    self._streams = await asyncio.open_connection(*self._address, ssl=self._tls)
                except UnicodeError:
                    # Nobody can have such a name.
                    raise socket.gaierror(socket.EAI_NONAME, "The receiver's name is no name of a host.") from None
            self._frames = Frames(_LIMIT)
            self._read = []
        return self._streams

    async def _drop(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            try:
                async with asyncio.timeout(1):
                    await writer.wait_closed()
            except OSError:
                writer.transport.abort()


def _expected(raw: bytes) -> tuple[str, Modes]:
    """The control id and the acknowledgments that a message asks for."""
    try:
        message = Message(charset.decode(raw, charset.declared(raw), "UNICODE UTF-8", "replace"))
    except Malformed:
        return "", Modes("", "AL")
    return message.control_id, modes(message)


def send(
    host: str, port: int, messages: Sequence[bytes], *, tls: ssl.SSLContext | None = None, timeout: float = 30.0
) -> list[Answer | None]:
    """Send messages one after another and wait for the acknowledgment of each, as ``Sender.send`` does."""

    async def all_of_them() -> list[Answer | None]:
        async with Sender(host, port, tls=tls, timeout=timeout) as sender:
            return [await sender.send(message) for message in messages]

    return asyncio.run(all_of_them())
