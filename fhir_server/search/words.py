"""The words of a text, as full-text search compares them. https://hl7.org/fhir/R4/search.html#content

A word is a run of letters and digits, folded as strings are (no case, no accents). Scripts that are written without
spaces are taken apart: each Chinese, Japanese or Yi character is a word of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from fhir_server.search.text_forms import fold

MAX_TEXT = 100_000
"""Characters of one text that are looked at; words behind them are not found."""

MAX_WORD = 40
"""Characters of a word that count; two words that differ behind them are one."""

FULL_WEIGHT = 1_000
"""The weight that no word reaches: a score is the share of it. See `weighted`."""

# Scripts without spaces between words; kana here have lost their voicing marks, as accents.
_ALONE = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u3096\u30a1-\u30fa\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff"
_ALONE += "\ua000-\ua48c\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003fffd"
# Vowel signs of Indic and South-East Asian scripts are marks, not letters, and yet inside of words.
_SIGNS = "\u0900-\u0963\u0971-\u0e3a\u0e40-\u0e4e\u0e80-\u0ece\u0f71-\u0f84\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
_WORD = re.compile(f"[{_ALONE}]|(?:[^\\W_{_ALONE}]|[{_SIGNS}])+")
_APOSTROPHES = re.compile("['\u2019]")

# A tag, however it is cut off: every alternative consumes what it has looked at, so that time is linear.
_TAG = re.compile(
    r"<!--(?:.*?-->|.*)|</?([A-Za-z][A-Za-z0-9]*)?(?:[^<>\"']|\"[^\"]*(?:\"|$)|'[^']*(?:'|$))*(?:>|$|(?=<))", re.DOTALL
)
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdo",
        "big",
        "cite",
        "code",
        "dfn",
        "em",
        "i",
        "kbd",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "tt",
        "var",
    ]
)


def words(text: str) -> list[str]:
    """The words of a text in their order, repeated as they are in it."""
    folded = fold(text[:MAX_TEXT])
    return [word[:MAX_WORD] for word in _WORD.findall(_APOSTROPHES.sub("", folded))]


def of_narrative(div: str) -> list[str]:
    """The words that a reader of a narrative's XHTML sees. https://hl7.org/fhir/R4/narrative.html

    Tags that only format what is inside of a word do not part it.
    """
    # Tags may be most of it: what counts against MAX_TEXT is what is read.
    plain = _TAG.sub(lambda tag: "" if (tag[1] or "").lower() in _INLINE else " ", div[: 8 * MAX_TEXT])
    return words(unescape(plain))


def weighted(found: list[str]) -> dict[str, int]:
    """Each distinct word with its weight in a text of these words, 1 to FULL_WEIGHT - 1.

    A word weighs more the more often it comes and the shorter the text is: the term frequency of Okapi BM25 with
    k1 = 0.5, b = 0.5 and an average length of 20 words. https://www.nowpublishers.com/article/Details/INR-019
    """
    damping = 0.5 * (0.5 + 0.5 * len(found) / 20)
    return {
        word: max(1, min(FULL_WEIGHT - 1, round(FULL_WEIGHT * count / (count + damping))))
        for word, count in Counter(found).items()
    }
