"""What is answered to a message, in the mode that its sender asks for. docs/hl7.md, "Safe before it is acknowledged"

In the enhanced mode there may be two answers: an accept acknowledgment, then the application's. They are kept together,
so that both are given again, byte by byte, when the message comes again.
https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.9.3 Response using enhanced acknowledgement"
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, cast

from hl7_gateway.message import Message
from hl7_gateway.problems import Refused
from hl7_gateway.wire.acknowledgment import Code, Modes, acknowledge, modes, wanted

_BETWEEN: Final = b"\x1c"
"""Ends a frame, so that no acknowledgment has it in it."""

PENDING: Final = Refused(207, "AE", None, "It is kept, and not stored yet. Send it again to learn what became of it.")
NOT_KEPT: Final = Refused(207, "AE", None, "It could not be kept just now. Send it again.")

_numbers = itertools.count(1)
_process: list[tuple[int, str]] = []


def control_id() -> str:
    """One that no other acknowledgment of this gateway has."""
    if not _process or _process[0][0] != os.getpid():
        # After a fork the numbers of the parent would come again.
        _process[:] = [(os.getpid(), secrets.token_hex(5))]
    return f"{_process[0][1]}{next(_numbers):x}"


def parts(stored: bytes) -> list[bytes]:
    """The answers in their order, each a message; none where none is wanted."""
    return [part for part in stored.split(_BETWEEN) if part]


def joined(answers: Sequence[bytes]) -> bytes:
    """As they are stored."""
    return _BETWEEN.join(answers)


def taken(message: Message, *, later: bool, expected: int | None = None) -> bytes:
    """For a message that is going to be kept; ``later``: its application acknowledgment follows when it is stored.

    Until then that place is held by one which says so. ``expected`` is MSA-4, where messages are numbered.
    """
    asked = modes(message)
    if later:
        return joined(
            [*_accepted(message, asked, expected), *_application(message, asked, PENDING, expected, always=True)]
        )
    return settled(message, None, expected)


def settled(message: Message, problem: Refused | None, expected: int | None = None) -> bytes:
    """For a message whose resources are stored, or which is a dead letter."""
    asked = modes(message)
    return joined([*_accepted(message, asked, expected), *_application(message, asked, problem, expected)])


def promised(message: Message) -> bool:
    """Whether an accept acknowledgment has said that the message is safe: its sender does not wait for another one."""
    asked = modes(message)
    return not asked.original and wanted(asked.accept, True)


def general(received: Message | bytes, expected: int) -> bytes:
    """For what asks for a number: one positive answer, whatever else is asked for."""
    accept = isinstance(received, Message) and wanted(modes(received).accept, True)
    return _one(received, "CA" if accept else "AA", None, expected)


def refused(received: Message | bytes, problem: Refused, expected: int | None = None) -> bytes:
    """For what is not taken, whether it is kept as a dead letter or not."""
    code = problem.acknowledgment
    asked = modes(received) if isinstance(received, Message) else Modes("", "AL")
    if asked.original:
        return _one(received, code, problem, expected)
    if wanted(asked.accept, False):
        return _one(received, "C" + code[1:], problem, expected)
    return _one(received, code, problem, expected) if wanted(asked.application, False) else b""


def _accepted(message: Message, asked: Modes, expected: int | None) -> list[bytes]:
    return [] if asked.original or not wanted(asked.accept, True) else [_one(message, "CA", None, expected)]


def _application(
    message: Message, asked: Modes, problem: Refused | None, expected: int | None, *, always: bool = False
) -> list[bytes]:
    if not (always or asked.original or wanted(asked.application, problem is None)):
        return []
    return [_one(message, "AA" if problem is None else problem.acknowledgment, problem, expected)]


def _one(received: Message | bytes, code: str, problem: Refused | None, expected: int | None) -> bytes:
    problems = [] if problem is None else [problem]
    now = _now(int(time.time()))
    return acknowledge(received, cast("Code", code), control_id(), problems, now, expected=expected)


@lru_cache(maxsize=2)
def _now(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
