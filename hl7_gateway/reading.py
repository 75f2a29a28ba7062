"""Bytes of a feed as messages, with the reason why one of them is not taken. docs/hl7.md, "Dead letters" """

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.hl7_messages import Incoming
from hl7_gateway.conversion.registry import SUPPORTED
from hl7_gateway.feed import Feed
from hl7_gateway.message import Heading, Message, Segment
from hl7_gateway.message import heading as heading_of
from hl7_gateway.patients import Whom, refuse_crowds, whom
from hl7_gateway.problems import Malformed, Place, Refused
from hl7_gateway.wire import batch, charset
from hl7_gateway.wire.batch import Batch
from hl7_gateway.wire.checks import check

_HEADER: Final = 16_384
_TEXT: Final = 200
"""How much of a control id or a name is kept beside a message, for searching."""

_UNKEEPABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Read:
    """A message of a feed as far as it could be read, and why it is not taken."""

    feed: Feed
    raw: bytes
    message: Message | None
    problem: Refused | None = None

    @property
    def received(self) -> Message | bytes:
        """What an acknowledgment answers."""
        return self.message if self.message is not None else self.raw


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A file or batch of a feed: its header, what is wrong with it, and its messages, each in bytes of its own."""

    header: str
    codec: str
    batch: Batch
    messages: tuple[bytes, ...]


def header(raw: bytes) -> Segment | None:
    """The first MSH of bytes that are not decoded yet, by which their feed is known; None where there is none."""
    head = raw[:_HEADER]
    start = 0 if head[:3] == b"MSH" else -1
    if start < 0:
        found = re.search(rb"(?:\A|[\r\n])[^A-Za-z]{0,8}MSH", head)
        start = found.end() - 3 if found else -1
    if start < 0:
        # Two or four bytes a character: what is of ASCII is left.
        head = head.replace(b"\x00", b"")
        start = head.find(b"MSH")
    try:
        return Message(re.split(r"[\r\n]", head[max(start, 0) :].decode("utf-8", "replace"), maxsplit=1)[0]).header
    except Malformed:
        return None


def heading(raw: bytes) -> Heading | None:
    """The heading of bytes that are not decoded yet, by which their feed is known; None where there is none."""
    line = raw[:_HEADER].partition(b"\r")[0].partition(b"\n")[0]
    try:
        if _plain(line):
            return heading_of(line.decode("ascii"))
        first = header(raw)
        return heading_of(first.raw) if first is not None else None
    except Malformed:
        return None


def _plain(line: bytes) -> bool:
    """Whether a header says the same in each character set that begins with MSH in ASCII."""
    return line.startswith(b"MSH") and line.isascii() and b"\x1b" not in line


def read(feed: Feed, raw: bytes, said: Heading | None = None) -> Read | ReadBatch:
    """What a frame of a feed holds; ``said`` is its `heading`, where that is known."""
    try:
        if said is not None and not (
            raw.startswith(b"MSH") and said.segment.raw.isprintable() and said.segment.raw.isascii()
        ):
            said = None
        declared = charset.declared(raw) if said is None else said.noted(_declared)
        decoded = charset.read(raw, declared, feed.charset, feed.invalid_bytes)
        if not batch.batched(decoded.text):
            return checked(feed, raw, Message(decoded.text, said))
        found = batch.split(decoded.text)
    except Malformed as error:
        return Read(feed, raw, None, Refused(100, "AE", Place("MSH"), str(error)))
    except Refused as problem:
        return Read(feed, raw, None, problem)
    if not found.messages:
        return Read(feed, raw, None, Refused(100, "AE", None, "There is no message in this batch."))
    first = re.split(r"[\r\n]", decoded.text.lstrip("\ufeff\r\n\t "), maxsplit=1)[0]
    # Characters that stand for bytes which could not be read are bytes of their own from here on.
    messages = tuple(text.encode(decoded.codec, "replace") for text in found.messages)
    return ReadBatch(first, decoded.codec, found, messages)


def _declared(said: Heading) -> str:
    return charset.declared(said.segment.raw.encode("ascii"))


def checked(feed: Feed, raw: bytes, message: Message) -> Read:
    """A message, with the first reason not to take it."""
    try:
        check(message, SUPPORTED, processing_ids=feed.processing_ids)
        refuse_crowds(message)
    except Refused as problem:
        return Read(feed, raw, message, problem)
    return Read(feed, raw, message)


def fingerprint(said: tuple[str, str], control_id: str, raw: bytes) -> bytes:
    """What a repeated message is known by: its sender, its control id and its bytes."""
    return _fingerprint(_measured(said[0]) + _measured(said[1]), control_id, raw)


def _fingerprint(said: bytes, control_id: str, raw: bytes) -> bytes:
    digest = hashlib.sha256(said + _measured(control_id))
    digest.update(raw)
    return digest.digest()


def _measured(part: str) -> bytes:
    """A text that cannot be taken for another one together with what follows."""
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(4, "big") + encoded


def incoming(found: Read, hasher: Hasher, acknowledgment: bytes) -> Incoming:
    """As the store keeps it, with its acknowledgment; a dead letter where it has a problem."""
    message, problem = found.message, found.problem
    first = message.header if message is not None else header(found.raw)
    said = _NOTHING
    if message is not None:
        said = message.heading.noted(_said)
    elif first is not None:
        # What is no message as a whole has nothing but its header.
        said = heading_of(first.raw).noted(_said)._replace(event="", structure="")
    control_id = first.text(10) if first is not None else ""
    about = whom(message, found.feed.mapping, hasher) if message is not None else Whom()
    return Incoming(
        found.feed.id,
        _kept(control_id),
        said.message_type,
        said.event or _kept(message.event if message is not None else ""),
        said.structure,
        said.application,
        said.facility,
        _fingerprint(said.sender, control_id, found.raw),
        found.raw,
        acknowledgment,
        about.patients,
        None if problem is None else problem_json(problem),
        tokens=about.tokens,
        keys=about.keys,
    )


class _Said(NamedTuple):
    """What a heading says, as columns take it; ``sender`` as the fingerprint has it."""

    message_type: str
    event: str
    structure: str
    application: str
    facility: str
    sender: bytes


_NOTHING: Final = _Said("", "", "", "", "", b"\0" * 8)


def _said(said: Heading) -> _Said:
    return _Said(
        _kept(said.message_type),
        _kept(said.event),
        _kept(said.structure),
        _kept(said.application),
        _kept(said.facility),
        _measured(said.application) + _measured(said.facility),
    )


def problem_json(problem: Refused) -> dict[str, Any]:
    """Why a message is a dead letter, as hl7_message keeps it."""
    return {"code": problem.code, "place": str(problem.place or ""), "said": problem.said}


def _kept(text: str) -> str:
    """A text as a column takes it."""
    return (text if text.isprintable() else _UNKEEPABLE.sub(" ", text))[:_TEXT]
