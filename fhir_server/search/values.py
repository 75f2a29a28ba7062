"""The text of one search value: escapes, separators, prefixes. https://hl7.org/fhir/R4/search.html#escaping"""

from __future__ import annotations

import re

from fhir_server.errors import BadRequest
from fhir_server.search.query import Clause

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
"""What may stand before a number, date or quantity. https://hl7.org/fhir/R4/search.html#prefix"""

_ESCAPED = re.compile(r"\\([,|$\\])")


def unescape(text: str) -> str:
    """The text without the escapes of ``,`` ``|`` ``$`` and the backslash; any other backslash stands for itself."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def split(text: str, separator: str) -> list[str]:
    """The parts between the separators ("|" or "$") that are not escaped; the parts keep their escapes."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def split_prefix(text: str) -> tuple[str, str]:
    """The prefix, "eq" when there is none, and what follows it. https://hl7.org/fhir/R4/search.html#prefix"""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def bad_value(clause: Clause, problem: str) -> BadRequest:
    """The refusal of a value: what is wrong with it and what would be right."""
    return BadRequest(f"{clause.text}: {problem}")


def bad_modifier(clause: Clause, *supported: str) -> BadRequest:
    """The refusal of a modifier that this server does not know for this type of parameter."""
    known = ", ".join(f":{name}" for name in (*supported, "missing"))
    return BadRequest(
        f"{clause.text}: the modifier :{clause.modifier} is not supported for {clause.parameter.code}, "
        f"which is of type {clause.parameter.type}. Supported: {known}",
        code="not-supported",
    )
