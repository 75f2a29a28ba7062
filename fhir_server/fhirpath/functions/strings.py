"""Text: indexOf, substring, matches, replace ... https://hl7.org/fhirpath/N1/#string-manipulation"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.evaluation import MAX_TEXT, Context, Step, integer, string, wrap
from fhir_server.fhirpath.functions.registry import Call, function, plain
from fhir_server.fhirpath.nodes import Item


def _two(name: str, run: Callable[[str, str], Item], *, test: bool) -> None:
    def build(call: Call) -> Step:
        source, argument = call.source, call.arguments[0]
        # The invariants of R4 take a test of no text as false (see fhirpath.invariants).
        nothing = False if test and call.invariant else None

        def apply(focus: list[Item], context: Context) -> list[Item]:
            text, other = string(source(focus, context)), string(argument(focus, context))
            return wrap(nothing) if text is None else [] if other is None else [run(text, other)]

        return apply

    function(name, 1)(build)


_two("startsWith", str.startswith, test=True)
_two("endsWith", str.endswith, test=True)
_two("contains", lambda text, part: part in text, test=True)
_two("indexOf", str.find, test=False)


def _one(run: Callable[[str], Item]) -> Callable[[list[Item]], list[Item]]:
    def apply(items: list[Item]) -> list[Item]:
        text = string(items)
        return [] if text is None else [run(text)]

    return apply


plain("upper")(_one(str.upper))
plain("lower")(_one(str.lower))
plain("length")(_one(len))
plain("trim")(_one(str.strip))


@plain("toChars")
def to_chars(items: list[Item]) -> list[Item]:
    """Each character as an item."""
    return list(string(items) or "")


@plain("substring", 1, 2)
def substring(items: list[Item], start: list[Item], length: list[Item] | None = None) -> list[Item]:
    """The text from ``start``, 0-based; empty where that lies outside it."""
    text, begin = string(items), integer(start)
    if text is None or begin is None or not 0 <= begin < len(text):
        return []
    count = None if length is None else integer(length)
    return [text[begin:] if count is None else text[begin : begin + max(count, 0)]]


def _bounded(text: str) -> list[Item]:
    if len(text) > MAX_TEXT:
        raise EvaluationError(f"The text grows beyond {MAX_TEXT} characters")
    return [text]


@plain("replace", 2)
def replace(items: list[Item], pattern: list[Item], substitution: list[Item]) -> list[Item]:
    """Every occurrence of ``pattern`` replaced; of an empty one, between all characters."""
    text, old, new = string(items), string(pattern), string(substitution)
    if text is None or old is None or new is None:
        return []
    if len(text) * (len(new) + 1) > MAX_TEXT * 10:
        raise EvaluationError(f"The text grows beyond {MAX_TEXT} characters")
    return _bounded(text.replace(old, new))


@plain("join", 0, 1)
def join(items: list[Item], separator: list[Item] | None = None) -> list[Item]:
    """All strings with the separator between them."""
    texts = [text for text in (string([item]) for item in items) if text is not None]
    return _bounded((string(separator or []) or "").join(texts)) if items else []


@lru_cache(maxsize=64)
def regular_expression(pattern: str) -> Any:
    """The pattern, to be matched in linear time by RE2, in "single line" mode.

    Raises EvaluationError where RE2 cannot read it: look-around and back references are not supported.
    https://github.com/google/re2/wiki/Syntax
    """
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise EvaluationError("The regular expression cannot be read") from None


def _checked_pattern(node: ast.Node) -> None:
    """Refuse a literal pattern when compiling. Raises Unsupported."""
    if isinstance(node, ast.Literal) and isinstance(node.value, str):
        try:
            regular_expression(node.value)
        except EvaluationError as error:
            raise Unsupported(f"{error} at character {node.position + 1}") from None


@function("matches", 1)
def matches(call: Call) -> Step:
    """Whether the text matches the regular expression.

    Any part may match, unless anchored; in an invariant of R4 the whole text must (see fhirpath.invariants).
    https://hl7.org/fhirpath/N1/#matchesregex-string-boolean
    """
    _checked_pattern(call.nodes[0])
    source, argument, whole = call.source, call.arguments[0], call.invariant

    def run(focus: list[Item], context: Context) -> list[Item]:
        text, pattern = string(source(focus, context)), string(argument(focus, context))
        if text is None or pattern is None:
            return [True] if whole else []
        expression = regular_expression(pattern)
        return [(expression.fullmatch(text) if whole else expression.search(text)) is not None]

    return run


_GROUP = re.compile(r"\\|\$(\d)")


@function("replaceMatches", 2)
def replace_matches(call: Call) -> Step:
    """Every match of the regular expression replaced; $1 in the substitution stands for the first group."""
    _checked_pattern(call.nodes[0])
    source, (first, second) = call.source, call.arguments

    def run(focus: list[Item], context: Context) -> list[Item]:
        text = string(source(focus, context))
        pattern, substitution = string(first(focus, context)), string(second(focus, context))
        if text is None or pattern is None or substitution is None:
            return wrap(None)
        template = _GROUP.sub(lambda group: f"\\{group[1]}" if group[1] else r"\\", substitution)
        if len(text) * (len(template) + 1) > MAX_TEXT * 10:
            raise EvaluationError(f"The text grows beyond {MAX_TEXT} characters")
        try:
            return _bounded(regular_expression(pattern).sub(template, text))
        except (re2.error, IndexError):
            raise EvaluationError("The substitution names a group that the regular expression lacks") from None

    return run
