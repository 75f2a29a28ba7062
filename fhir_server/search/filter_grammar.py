"""The text of a _filter as a tree of tests, before anything is known of search parameters.

https://hl7.org/fhir/R4/search_filter.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from fhir_server.errors import BadRequest
from fhir_server.search.suggest import nearest, shown

OPERATORS = (
    "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re",
)  # fmt: skip
"""What may stand between a path and a value. https://hl7.org/fhir/R4/search_filter.html#ops"""

MAX_DEPTH = 20
"""How deep parentheses and brackets may be nested."""

MAX_TESTS = 100
"""How many tests one filter may have."""

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:-]*")
_WORD = re.compile(r"[^\s()\[\]\"]+")
_TOKEN = re.compile(r"[^\s)\]]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT = re.compile(r"not\s*(?=\()")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path, and the condition in brackets that holds for what it leads to; None without brackets."""

    name: str
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A test, ``path operator value``.

    ``position`` is where it starts, counted from 1; ``text`` is what is written there.
    """

    path: tuple[Step, ...]
    operator: str
    value: str
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Logical:
    """Expressions that hold all ("and") or of which any holds ("or")."""

    operator: str
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """An expression that does not hold."""

    part: Expression


Expression = Comparison | Logical | Not
"""A filter. https://hl7.org/fhir/R4/search_filter.html"""


def parse(text: str) -> Expression:
    """The tree of a filter. "and" and "or" bind alike, from left to right.

    Raises BadRequest with the position of what is wrong, counted from 1, and what would be right.
    """
    reader = _Reader(text)
    found = reader.expression(0)
    if reader.at < len(text):
        raise reader.wrong("this follows a complete filter: 'and' or 'or' is needed between two tests")
    return found


def problem(position: int, message: str, code: str = "invalid") -> BadRequest:
    """The refusal of a filter: where, counted from 1, and what is wrong there."""
    return BadRequest(f"_filter, character {position}: {message}", code=code)


class _Reader:
    """Reads a filter from left to right; ``at`` is the index of the next character that is no space."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tests = 0
        self.skip_space()

    def skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def wrong(self, message: str, at: int | None = None, code: str = "invalid") -> BadRequest:
        place = self.at if at is None else at
        rest = self.text[place : place + 20].strip()
        return problem(place + 1, f"{message}{f'; found {shown(rest)}' if rest else '; the filter ends'}.", code)

    def take(self, character: str) -> bool:
        if not self.text.startswith(character, self.at):
            return False
        self.at += len(character)
        self.skip_space()
        return True

    def expression(self, depth: int) -> Expression:
        found = self.term(depth)
        while operator := self.logical_operator():
            right = self.term(depth)
            same = isinstance(found, Logical) and found.operator == operator
            # What stands in parentheses of its own means the same without them.
            found = Logical(operator, (*found.parts, right) if same else (found, right))  # type: ignore[union-attr]
        return found

    def logical_operator(self) -> str:
        match = _WORD.match(self.text, self.at)
        if match is None or match[0] not in ("and", "or"):
            return ""
        self.at = match.end()
        self.skip_space()
        return match[0]

    def term(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.wrong(f"parentheses and brackets are nested deeper than {MAX_DEPTH}", code="too-costly")
        negation = _NOT.match(self.text, self.at)
        if negation:
            self.at = negation.end()
        if self.take("("):
            found = self.expression(depth + 1)
            if not self.take(")"):
                raise self.wrong("')' or a logical operator, 'and' or 'or', is needed here")
            return Not(found) if negation else found
        return self.test(depth)

    def test(self, depth: int) -> Comparison:
        start = self.at
        self.tests += 1
        if self.tests > MAX_TESTS:
            raise self.wrong(f"the filter has more than {MAX_TESTS} tests; split it", code="too-costly")
        path = self.path(depth)
        operator = self.operator()
        value, end = self.value()
        text = self.text[start:end]
        self.skip_space()
        return Comparison(path, operator, value, start + 1, text)

    def path(self, depth: int) -> tuple[Step, ...]:
        steps = []
        while True:
            match = _NAME.match(self.text, self.at)
            if match is None:
                raise self.wrong('a search parameter is needed here, as in: given eq "peter" and birthdate ge 2014')
            self.at = match.end()
            condition = None
            if self.text.startswith("[", self.at):
                self.take("[")
                condition = self.expression(depth + 1)
                if not self.text.startswith("]", self.at):
                    raise self.wrong("']' or a logical operator, 'and' or 'or', is needed here")
                self.at += 1
                if not self.text.startswith(".", self.at):
                    raise self.wrong("a condition in brackets is followed by '.' and what is tested")
            steps.append(Step(match[0], condition))
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
            if len(steps) > MAX_DEPTH:
                raise self.wrong(f"the path is longer than {MAX_DEPTH} names", code="too-costly")
        if not self.text[self.at : self.at + 1].isspace():
            raise self.wrong(f"a space and an operator are needed here, one of {' '.join(OPERATORS)}")
        self.skip_space()
        return tuple(steps)

    def operator(self) -> str:
        match = _WORD.match(self.text, self.at)
        word = match[0] if match else ""
        if word not in OPERATORS:
            close = nearest(word, OPERATORS, 1) if word else []
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise self.wrong(f"{hint}an operator is needed here, one of {' '.join(OPERATORS)}")
        self.at += len(word)
        if not self.text[self.at : self.at + 1].isspace():
            raise self.wrong(f"a space and a value are needed behind {word}")
        self.skip_space()
        return word

    def value(self) -> tuple[str, int]:
        """The value, and where it ends."""
        start = self.at
        if self.text.startswith('"', start):
            value = self.string()
        else:
            match = _TOKEN.match(self.text, start)
            if match is None:
                raise self.wrong("a value is needed here; one with spaces, ')' or ']' stands in double quotes")
            self.at = match.end()
            value = match[0]
        if self.text[self.at : self.at + 1] not in ("", ")", "]") and not self.text[self.at].isspace():
            raise self.wrong("a space is needed behind a value")
        return value, self.at

    def string(self) -> str:
        """A JSON string. https://www.rfc-editor.org/rfc/rfc8259#section-7"""
        start = self.at
        match = _STRING.match(self.text, start)
        if match is None:
            raise self.wrong('the string that starts here has no end; a " inside of it is written \\"')
        try:
            # Characters that JSON would have escaped, such as line breaks, can mean nothing but themselves.
            value: str = json.loads(match[0], strict=False)
            value.encode()
        except UnicodeEncodeError:
            raise self.wrong("the string holds half of a surrogate pair, which is no character", start) from None
        except ValueError:
            raise self.wrong('a backslash in a string stands before one of " \\ / b f n r t u', start) from None
        if not value or "\0" in value:
            raise self.wrong("a string has one character or more, and U+0000 is none", start)
        self.at = match.end()
        return value
