"""Feeds that number their messages in MSH-13, and what MSA-4 answers. docs/hl7.md, "Numbered messages"

"Sequence number protocol", https://www.hl7.eu/HL7v2x/v281/std281/ch02.html
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Final

from fhir_server.store.hl7_messages import Incoming
from hl7_gateway import answers
from hl7_gateway.feed import Feed
from hl7_gateway.message import Message, Segment
from hl7_gateway.problems import Place, Refused
from hl7_gateway.reading import Read, header

QUERIES: Final = (0, -1)
"""0 asks which number is expected, -1 has the next one be the first. Neither is of a message that is to be kept."""

_PLACE: Final = Place("MSH", field=13)
_NUMBER: Final = re.compile(r"\+?[0-9]{1,15}|-1")

_MISSING: Final = Refused(101, "AE", _PLACE, "This feed numbers its messages: it must be the number of this one.")
_WRONG: Final = Refused(102, "AE", _PLACE, "It must be the number of the message, 0 or -1.")


def numbered(found: Read) -> tuple[Read, int | None]:
    """What came by a feed that numbers its messages, and its number; None, and a problem, where it has none.

    What follows MSH does not matter to a query.
    """
    number = _number(found.message.header if found.message is not None else header(found.raw))
    if number in QUERIES:
        return replace(found, problem=None), number
    if isinstance(number, Refused):
        return replace(found, problem=found.problem or number), None
    return found, number


def _number(first: Segment | None) -> int | Refused:
    text = first.text(13).strip() if first is not None else ""
    if not text:
        return _MISSING
    return int(text) if _NUMBER.fullmatch(text) else _WRONG


def echoed(feed: Feed, message: Message) -> int | None:
    """MSA-4 for a message that is kept: its own number, None where its feed has none."""
    number = _number(message.header) if feed.sequence else None
    return number if isinstance(number, int) else None


def query(feed: Feed, number: int) -> Incoming:
    """What asks for its answer in turn with the messages before and after it. Each one is another one."""
    return Incoming(feed.id, "", "", "", "", "", "", os.urandom(32), b"", b"", sequence=number)


def answer(found: Read, number: int | None, expected: int) -> bytes:
    """What is answered to a query, or to a message with another number than the one that was expected."""
    if number in QUERIES:
        return answers.general(found.received, expected)
    said = f"It must be {expected}: the messages of this feed are taken in the order of their numbers."
    return answers.refused(found.received, Refused(207, "AE", _PLACE, said), expected)
