"""States, ages and outcomes in plain words. docs/hl7.md, "On a page" """

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fhir_server.store.hl7_messages import DEAD, DROPPED, RECEIVED

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_TONES: Final[Mapping[str, str]] = {RECEIVED: "warn", DEAD: "error", DROPPED: "muted"}


def tone(state: str) -> str:
    """The look of a state's tag."""
    return _TONES.get(state, "")


def ago(at: int, now: int) -> str:
    """How long ago a time was, in microseconds since 1970: "3 minutes ago", "" for none."""
    if not at:
        return ""
    seconds = max(0, now - at) // 1_000_000
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"


def counted(number: int, what: str) -> str:
    """1 message, 2 messages"""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(parts: Iterable[str]) -> str:
    """a, b and c"""
    words = list(parts)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
