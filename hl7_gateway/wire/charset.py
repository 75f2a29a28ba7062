"""The text of a message by the character set that its MSH-18 names. https://terminology.hl7.org/CodeSystem-v2-0211.html"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from hl7_gateway.problems import Place, Refused

Policy = Literal["refuse", "replace"]
"""What to do with bytes that are not of the character set."""

_CODECS: Final = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    **{f"8859{part}": f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))},
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODEUTF16": "utf-16",
    "UTF16": "utf-16",
    "UNICODEUTF32": "utf-32",
    "UTF32": "utf-32",
    "ISOIR6": "ascii",
    "ISOIR100": "iso8859-1",
    "ISOIR192": "utf-8",
    # Which of the Japanese sets is meant at a place is told by escape sequences in the text; one codec reads them all.
    "ISOIR13": "iso2022_jp_ext",
    "ISOIR14": "iso2022_jp_ext",
    "ISOIR87": "iso2022_jp_ext",
    "ISOIR159": "iso2022_jp_ext",
    "JISX02081990": "iso2022_jp_ext",
    "ISOIR149": "cp949",
    "KSX1001": "cp949",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "BIG5": "cp950",
    "LATIN1": "iso8859-1",
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("WINDOWS", "CP") for page in range(1250, 1259)},
}
"""Names of table 0211 and those that senders use instead, without case, dashes and spaces -> Python's codec."""

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_WIDE: Final = (
    (b"M\x00\x00\x00", "utf-32-le"),
    (b"\x00\x00\x00M", "utf-32-be"),
    (b"M\x00", "utf-16-le"),
    (b"\x00M", "utf-16-be"),
)
_MARKED: Final = tuple(mark for mark, _ in _MARKS)
_STARTS: Final = tuple(mark for mark, _ in (*_MARKS[1:], *_WIDE))
_HEADER: Final = 16_384
"""How far to look for MSH-18."""

_LONGEST: Final = 80
"""Characters of a choice that is remembered."""

_C1: Final = re.compile("[\x80-\x9f]")


class InvalidBytes(Refused):
    """Bytes that are not of the message's character set. ``position`` counts from 0."""

    def __init__(self, position: int, codec: str, place: Place | None) -> None:
        self.position = position
        said = (
            f"The byte at offset {position} is not of the character set {codec}; MSH-18 must name the one that is sent."
        )
        super().__init__(102, "AE", place, said)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the codec that read it.

    ``unknown`` where MSH-18 names a set that is not known, ``replaced`` where U+FFFD stands for bytes that are not
    of the character set.
    """

    text: str
    codec: str
    unknown: bool = False
    replaced: bool = False


def codec(name: str) -> str | None:
    """Python's codec for a name as in MSH-18, None for an unknown one."""
    plain = re.sub(r"[^A-Z0-9]", "", name.upper())
    return _CODECS.get(plain) or _CODECS.get(plain.removeprefix("ISO"))


def declared(raw: bytes) -> str:
    """MSH-18 of a message that is not decoded yet, "" where it names none; repetitions are separated by "~"."""
    wide = _width(raw)
    head = raw[:_HEADER]
    if wide is not None:
        # The end may be cut within a character, which only concerns the end.
        head = head.decode(wide, "replace").encode("latin-1", "replace")
    head = head.lstrip(b"\xef\xbb\xbf\x00\r\n\t ?")
    if head[:3] != b"MSH" or len(head) < 8:
        return ""
    line = head.partition(b"\r")[0].partition(b"\n")[0]
    fields = line.split(head[3:4], 18)
    if len(fields) < 18:
        return ""
    encoding = fields[1]
    found = fields[17].decode("latin-1")
    return found.replace(chr(encoding[1]), "~").strip() if len(encoding) > 1 else found.strip()


def decode(raw: bytes, declared: str, default: str, policy: Policy) -> str:
    """The text of a message. Raises InvalidBytes by policy."""
    return read(raw, declared, default, policy).text


def read(raw: bytes, declared: str, default: str, policy: Policy) -> Decoded:
    """The text of a message, and how it was read.

    A byte order mark decides; then what MSH-18 says; then ``default``, the feed's character set, which also reads what
    is no ASCII in a message that is said to be ASCII. Raises InvalidBytes by policy, ValueError for an unknown default.
    """
    usual = len(declared) + len(default) <= _LONGEST
    chosen, fallback, unknown = (_choice if usual else _choice.__wrapped__)(declared, default)
    marked = next(found for mark, found in _MARKS if raw.startswith(mark)) if raw.startswith(_MARKED) else None
    wide = marked or _width(raw)
    if wide is not None:
        chosen = wide
    elif chosen.startswith(("utf-16", "utf-32")):
        # One byte for each letter of MSH: whatever it says, it is not sent in two or four.
        chosen = fallback if not fallback.startswith(("utf-16", "utf-32")) else "utf-8"
    elif chosen == "ascii" and not raw.isascii():
        chosen = fallback
    text, replaced = _decoded(raw, chosen, policy)
    return Decoded(text.removeprefix("\ufeff"), chosen, unknown, replaced)


@lru_cache(maxsize=256)
def _choice(declared: str, default: str) -> tuple[str, str, bool]:
    """The codec for a declared character set, the one for the default, and whether a declared one is not known."""
    fallback = codec(default)
    if fallback is None:
        raise ValueError(f"There is no character set {default!r}; table 0211 lists those that there are.")
    names = [name for name in declared.split("~") if name.strip()]
    known = [found for found in map(codec, names) if found is not None]
    return _chosen(known) or fallback, fallback, len(known) < len(names)


def _chosen(known: list[str]) -> str | None:
    # Sets that are switched to by escape sequences come after the one that the message begins with.
    return next((found for found in known if found.startswith("iso2022")), known[0] if known else None)


def _width(raw: bytes) -> str | None:
    """The codec of a message whose characters have two or four bytes, by its first letter."""
    if not raw.startswith(_STARTS):
        return None
    for mark, found in (*_MARKS[1:], *_WIDE):
        if raw.startswith(mark):
            return found
    return None


def _decoded(raw: bytes, chosen: str, policy: Policy) -> tuple[str, bool]:
    replaced = False
    try:
        text = raw.decode(chosen)
    except UnicodeDecodeError as error:
        if policy == "refuse":
            raise InvalidBytes(error.start, chosen, _place(raw, error.start)) from None
        text = raw.decode(chosen, "replace")
        replaced = True
    if chosen == "iso8859-1" and _C1.search(text):
        # Nobody sends these control characters; senders of Windows-1252 call it 8859/1.
        text = _C1.sub(lambda found: found[0].encode("latin-1").decode("cp1252", "ignore") or found[0], text)
    return text, replaced


def _place(raw: bytes, position: int) -> Place | None:
    """The field that a byte stands in, as far as bytes tell."""
    start = max(raw.rfind(b"\r", 0, position), raw.rfind(b"\n", 0, position)) + 1
    name = raw[start : start + 3]
    header = raw.find(b"MSH")
    if not re.fullmatch(rb"[A-Z][A-Z0-9]{2}", name) or not 0 <= header < 8:
        return None
    field = raw.count(raw[header + 3 : header + 4], start, position) + (name == b"MSH")
    number = len(re.findall(rb"(?:^|[\r\n])" + name, raw[:position]))
    return Place(name.decode(), max(number, 1), field)
