"""Text as string search compares it: without case, accents and runs of white space. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

import unicodedata

from fhir_server.search.sql import SqlParameters

MAX_LENGTH = 200
"""Characters of a normalised value that the index holds; what lies beyond is found by :exact alone."""

_LAST = chr(0x10FFFF)


def fold(text: str) -> str:
    """The text in NFKD without combining marks, casefolded."""
    if text.isascii():
        return text.lower()
    # Casefolding may bring new marks (U+0130) and compatibility forms new capitals, hence both before and after.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


def normalise(text: str) -> str:
    """The folded text with white space collapsed, cut to MAX_LENGTH characters.

    Punctuation stays. NUL, which PostgreSQL cannot store, counts as white space.
    """
    # A value may be of any length; what stands far behind the cut is not worth looking at.
    folded = fold(text[: MAX_LENGTH * 8])
    if "\0" in folded:
        folded = folded.replace("\0", " ")
    return " ".join(folded.split())[:MAX_LENGTH].rstrip()


def upper_bound(prefix: str) -> str | None:
    """The least text, by code points, above every text with this prefix; None when there is none.

    The range [prefix, upper_bound) is what an index in the "C" collation can answer under row level security, where
    LIKE cannot use one.
    """
    stripped = prefix.rstrip(_LAST)
    if not stripped:
        return None
    following = ord(stripped[-1]) + 1
    return stripped[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def starts_with(text: str, sql: SqlParameters, column: str) -> str:
    """The SQL condition that a column in the "C" collation begins with a text that is already normalised."""
    condition = f"{column} >= {sql.bind(text, 'text')}"
    end = upper_bound(text)
    return condition if end is None else f"{condition} AND {column} < {sql.bind(end, 'text')}"
