"""Escape sequences in the text of a field, resolved and made.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.7 Use of escape sequences" """

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hl7_gateway.segment import Delimiters

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters that no text of FHIR may hold, and two of which frame a message."""


def unescape(raw: str, delimiters: Delimiters) -> str:
    """The text that is meant: \\F\\ \\S\\ \\T\\ \\R\\ \\E\\ become delimiters, \\.br\\ a line end, \\X41\\ characters.

    Highlighting (\\H\\, \\N\\) is left out. Kept as they are: sequences that are unknown, that switch character sets
    (\\C..\\, \\M..\\), that format otherwise (\\.in4\\), and characters by number that are control characters.
    """
    escape = delimiters.escape
    if not escape or escape not in raw:
        return raw
    meanings = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": escape,
        # Both letters are in use for it.
        "L": delimiters.truncation,
        "P": delimiters.truncation,
        "H": "",
        "N": "",
        ".br": "\n",
    }

    def meaning(found: re.Match[str]) -> str:
        sequence = found[1]
        if sequence in meanings:
            # A delimiter that this message does not have cannot be meant.
            plain = meanings[sequence]
            return plain if plain or sequence in "HN" else found[0]
        if sequence[0] == "X":
            numbered = _numbered(sequence[1:])
            return found[0] if _CONTROL.search(numbered) else numbered
        return found[0]

    return _sequences(escape).sub(meaning, raw)


@lru_cache(maxsize=64)
def _sequences(escape: str) -> re.Pattern[str]:
    """The sequences that the standard knows. Whatever else stands after an escape character is text."""
    known = (
        r"[FSTRELPHN]|\.[a-z]{2}[+-]?\d{0,4}|X(?:[0-9A-Fa-f]{2})+|C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?"
    )
    quoted = re.escape(escape)
    return re.compile(f"{quoted}({known}){quoted}")


def _numbered(digits: str) -> str:
    """Bytes as text. Some senders write a line end as 000D, two bytes of which one says nothing."""
    octets = bytes.fromhex(digits).replace(b"\x00", b"") or b"\x00"
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def escape(text: str, delimiters: Delimiters) -> str:
    """A text as it can stand in a message; ``unescape`` gives it back.

    Where the receiver knows no escape character, delimiters and line ends become spaces.
    """
    return text.translate(_escapes(delimiters))


@lru_cache(maxsize=64)
def _escapes(delimiters: Delimiters) -> dict[int, str]:
    mark = delimiters.escape
    named = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        # By its number: which letter a receiver knows for it is not certain.
        delimiters.truncation: f"X{ord(delimiters.truncation or '#'):02X}",
        mark: "E",
        "\n": ".br",
    }
    # What must not stand in a message at all: it would end a segment, or the frame.
    for number in (*range(9), *range(11, 32)):
        named[chr(number)] = f"X{number:02X}"
    return {ord(one): f"{mark}{name}{mark}" if mark else " " for one, name in named.items() if one}
