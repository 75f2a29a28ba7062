"""A message as a text that can be edited in a page, and back into the bytes of its character set.

https://html.spec.whatwg.org/multipage/form-elements.html#the-textarea-element
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hl7_gateway.feed import Feed
from hl7_gateway.wire import charset

LONGEST: Final = 60_000
"""Bytes of a message that can be edited here: a form triples what it escapes."""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ENDS: Final = re.compile(r"\r\n|\r|\n")


class NotEditable(ValueError):
    """Why a text cannot become the bytes of a message, or bytes a text: a sentence for people."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message for a page: a segment in each line. ``replaced`` where U+FFFD stands for what is no character."""

    lines: str
    replaced: bool


def text_of(feed: Feed | None, raw: bytes) -> Text:
    """The text of a message as far as it can be read."""
    default = feed.charset if feed is not None else "UNICODE UTF-8"
    decoded = charset.read(raw, charset.declared(raw), default, "replace")
    return Text(_lines(decoded.text), decoded.replaced)


def editable(feed: Feed | None, raw: bytes) -> str:
    """The text of a message for a form. Raises NotEditable, with what else can be done."""
    if len(raw) > LONGEST:
        raise NotEditable(f"It has {len(raw):,} bytes, and {LONGEST:,} can be edited here.")
    found = text_of(feed, raw)
    if _CONTROLS.search(found.lines):
        raise NotEditable("It holds control characters, which a form cannot carry.")
    return found.lines


def same(one: str, other: str) -> bool:
    """Whether two texts are the same message."""
    return _lines(one) == _lines(other)


def corrected(feed: Feed, text: str) -> bytes:
    """The bytes of an edited text, in the character set that it names. Raises NotEditable."""
    lines = _lines(text)
    if not lines:
        raise NotEditable("There is no message: type one that begins with MSH.")
    if _CONTROLS.search(lines):
        raise NotEditable("It holds control characters: write them as escapes, such as \\X0A\\.")
    whole = lines.replace("\n", "\r") + "\r"
    plain = whole.encode("utf-8", "replace")
    found = charset.read(plain, charset.declared(plain), feed.charset, "replace")
    try:
        raw = whole.encode(found.codec)
    except UnicodeEncodeError as error:
        line = whole.count("\r", 0, error.start) + 1
        raise NotEditable(
            f"Line {line} has a character that is not of the character set {found.codec}: change it, or MSH-18."
        ) from None
    if charset.read(raw, charset.declared(raw), feed.charset, "replace").text != whole:
        raise NotEditable(f"Its characters would be read as others in the character set {found.codec}: change MSH-18.")
    return raw


def _lines(text: str) -> str:
    """With line ends as in a form, and none around it."""
    return _ENDS.sub("\n", text).strip("\n")
