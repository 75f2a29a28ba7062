"""Fields, components and segments as text. https://www.hl7.eu/HL7v2x/v281/std281/ch02.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hl7_gateway.escapes import escape
from hl7_gateway.message import NULL, Delimiters

_DELIMITERS: Final = Delimiters()

Fields = dict[int, str]
"""The fields of a segment by their numbers, as they stand in a message."""


def text(plain: str) -> str:
    """A text as it can stand in a message. Two quotes are a text here, not the order to delete."""
    plain = plain.strip()
    return '\\X22\\"' if plain == NULL else escape(plain, _DELIMITERS)


def components(*parts: str) -> str:
    """Components, or nothing where all of them are empty."""
    return "^".join(parts).rstrip("^")


def subcomponents(*parts: str) -> str:
    """Subcomponents, or nothing where all of them are empty."""
    return "&".join(parts).rstrip("&")


def repetitions(values: Iterable[str]) -> str:
    """Repetitions, without empty ones and without the same again."""
    return "~".join(dict.fromkeys(value for value in values if value))


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment of some of its fields."""
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def taken_back(before: Mapping[int, str], after: Mapping[int, str]) -> Fields:
    """The fields of now, and the order to delete those that had a content before."""
    return {
        **{number: NULL for number, value in before.items() if value and not after.get(number)},
        **{number: value for number, value in after.items() if value},
    }
