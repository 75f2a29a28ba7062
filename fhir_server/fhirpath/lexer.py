"""FHIRPath text into tokens. https://hl7.org/fhirpath/N1/#lexical-elements"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LENGTH = 32_768
"""Characters that an expression may have; the longest of R4's own is under 6,000."""

_MAX_DIGITS = 60

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t\r\n]+|//[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    | (?P<datetime>@\d{4}(?:-\d\d(?:-\d\d)?)?T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
    | (?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?)
    | (?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<delimited>`(?:[^`\\]|\\.)*`)
    | (?P<identifier>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<special>\$(?:this|index|total)\b)
    | (?P<symbol><=|>=|!=|!~|[.\[\](){},+\-*/&|<>=~%])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "`": "`", "/": "/", "n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class FhirPathSyntaxError(ValueError):
    """The text is no FHIRPath expression; ``position`` is the offset of the first character that cannot be read."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(f"{problem} at character {position + 1}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Token:
    """One token. ``kind`` is datetime, date, time, number, string, identifier, delimited, special, symbol or end.

    ``text`` has its quotes, backticks, @ and $ taken off and its escapes resolved.
    """

    kind: str
    text: str
    position: int


def _unescape(text: str, position: int) -> str:
    def resolve(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2] not in _ESCAPED:
            raise FhirPathSyntaxError(f"\\{match[2]} is no escape sequence", position + 1 + match.start())
        return _ESCAPED[match[2]]

    if "\\" not in text:
        return text
    resolved = _ESCAPE.sub(resolve, text)
    # Escapes write characters beyond the basic plane as two surrogates; Python strings hold the one character.
    return resolved.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tokenize(expression: str) -> list[Token]:
    """Read all tokens, the last of kind "end".

    Raises FhirPathSyntaxError for a character that begins no token, and for text above MAX_LENGTH.
    """
    if len(expression) > MAX_LENGTH:
        raise FhirPathSyntaxError(f"The expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens: list[Token] = []
    position, end = 0, len(expression)
    while position < end:
        match = _TOKEN.match(expression, position)
        if match is None:
            quote = expression[position] in "'`"
            raise FhirPathSyntaxError("The quote is not closed" if quote else "Unexpected character", position)
        kind, text = str(match.lastgroup), match[0]
        if kind in ("string", "delimited"):
            text = _unescape(text[1:-1], position)
        elif kind == "number" and len(text) > _MAX_DIGITS:
            raise FhirPathSyntaxError(f"The number has more than {_MAX_DIGITS} digits", position)
        elif kind in ("datetime", "date", "special"):
            text = text[1:].removesuffix("T")
        elif kind == "time":
            text = text[2:]
        if kind != "skip":
            tokens.append(Token(kind, text, position))
        position = match.end()
    tokens.append(Token("end", "", end))
    return tokens
