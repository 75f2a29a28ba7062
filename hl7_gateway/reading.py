"""Bytes of a feed as messages, with the reason why one of them is not taken. docs/hl7.md, "Dead letters" """

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.hl7_messages import Incoming
from hl7_gateway.conversion.registry import SUPPORTED
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import sender
from hl7_gateway.message import Message, Segment
from hl7_gateway.patients import patients, refuse_crowds
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


def read(feed: Feed, raw: bytes) -> Read | ReadBatch:
    """What a frame of a feed holds."""
    try:
        decoded = charset.read(raw, charset.declared(raw), feed.charset, feed.invalid_bytes)
        if not batch.batched(decoded.text):
            return checked(feed, raw, Message(decoded.text))
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
    digest = hashlib.sha256()
    for part in (*said, control_id):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    digest.update(raw)
    return digest.digest()


def incoming(found: Read, hasher: Hasher, acknowledgment: bytes) -> Incoming:
    """As the store keeps it, with its acknowledgment; a dead letter where it has a problem."""
    message, problem = found.message, found.problem
    first = message.header if message is not None else header(found.raw)
    said = sender(first)
    control_id = first.text(10) if first is not None else ""
    whom: tuple[int, ...] = ()
    if message is not None:
        whom = patients(message, found.feed.mapping, hasher)
    return Incoming(
        found.feed.id,
        _kept(control_id),
        _kept(first.text(9, 1) if first is not None else ""),
        _kept(message.event if message is not None else ""),
        _kept(message.structure if message is not None else ""),
        _kept(said[0]),
        _kept(said[1]),
        fingerprint(said, control_id, found.raw),
        found.raw,
        acknowledgment,
        whom,
        None if problem is None else problem_json(problem),
    )


def problem_json(problem: Refused) -> dict[str, Any]:
    """Why a message is a dead letter, as hl7_message keeps it."""
    return {"code": problem.code, "place": str(problem.place or ""), "said": problem.said}


def _kept(text: str) -> str:
    """A text as a column takes it."""
    return _UNKEEPABLE.sub(" ", text)[:_TEXT]
