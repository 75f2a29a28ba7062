"""Full text: ``_text``, ``_content`` and the modifier ``:text`` of strings and tokens. https://hl7.org/fhir/R4/search.html#text

Row level security keeps PostgreSQL from using a text index, so the index holds hashes of words. Texts of codes, which
repeat in resource after resource, are indexed as one phrase each, and the words of a phrase once for each tenant.
docs/decisions/0010-full-text.md
"""

# ruff: noqa: S608 - the text holds names of our own and placeholders; every value is bound
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.search import words
from fhir_server.search.condition import Condition
from fhir_server.search.paths import Child, Unsupported, paths
from fhir_server.search.query import SCORED, Clause
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters
from fhir_server.search.text_places import (
    INSIDE,
    NARRATIVE,
    PHRASE,
    RESOURCE,
    XHTML,
    Place,
    elsewhere,
    place_at,
    root,
)  # fmt: skip
from fhir_server.search.values import bad_value, unescape
from fhir_server.store.index_rows import IndexRows, Words

MODIFIER = "text"
"""Strings and tokens take it where they have text. https://hl7.org/fhir/R4/search.html#modifiers"""

MAX_WORDS = 32
"""The most distinct words of one value."""

_LONGEST_PHRASE = 400
_MINUS = re.compile(r"-\w")
_PARTS = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "postalCode", "country"),
}
"""The strings of a type that string parameters search as a whole."""


# Writing.


def write(resource: dict[str, Any], rows: IndexRows, hasher: Hasher) -> None:
    """Write the words of a resource that validation has accepted. Raises TooLarge for more than MAX_ROWS of them."""
    rows.words = found = Words()
    _Writing(resource["resourceType"], rows, found, hasher).inside(resource, root(resource["resourceType"]))
    rows.make_room()


class _Writing:
    """One resource on its way into `Words`: hashes hold its type, as every search is for one type."""

    __slots__ = ("found", "hasher", "rows", "type")

    def __init__(self, resource_type: str, rows: IndexRows, found: Words, hasher: Hasher) -> None:
        self.type = resource_type
        self.rows = rows
        self.found = found
        self.hasher = hasher

    def inside(self, value: dict[str, Any], place: Place) -> None:
        steps = place.steps
        for name in value:
            if name in steps:
                kind, below = steps[name]
                item = value[name]
                if isinstance(item, list):
                    for one in item:
                        # Arrays of primitives may hold nulls.
                        if one is not None:
                            self.one(one, kind, below)
                elif kind == INSIDE:
                    self.inside(item, below)
                else:
                    self.one(item, kind, below)

    def one(self, item: Any, kind: int, place: Place) -> None:
        if kind == INSIDE:
            self.inside(item, place)
        elif kind == PHRASE and len(item) <= _LONGEST_PHRASE:
            self.phrase(item, place.number)
        elif kind == RESOURCE:
            self.inside(item, elsewhere(item["resourceType"]))
        else:
            found = words.of_narrative(item) if kind == XHTML else words.words(item)
            self.words([(_word(self.hasher, self.type, w), n) for w, n in words.weighted(found).items()], place.number)
            self.rows.make_room()

    def phrase(self, text: str, place: int) -> None:
        phrase, weights = _phrase(self.hasher, self.type, text)
        if len(weights) < 2:
            self.words(weights, place)
        else:
            self.found.rows[phrase, place] = 0
            self.found.phrases[phrase] = weights

    def words(self, weights: Iterable[tuple[int, int]], place: int) -> None:
        rows = self.found.rows
        for word, weight in weights:
            if rows.get((word, place), 0) < weight:
                rows[word, place] = weight


@lru_cache(maxsize=20_000)
def _phrase(hasher: Hasher, resource_type: str, text: str) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The hash of a phrase, which is its words with spaces between, and the hashes and weights of its words.

    Displays of codes repeat in resource after resource, hence the cache.
    """
    found = words.words(text)
    weights = tuple((_word(hasher, resource_type, word), weight) for word, weight in words.weighted(found).items())
    return hasher.uncached(f"{resource_type}:p:{' '.join(found)}"), weights


def _word(hasher: Hasher, resource_type: str, word: str) -> int:
    return hasher(f"{resource_type}:w:{word}")


# Reading.


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL, for `SCORED` parameters and for the modifier :text.

    All words of a value must be there; the values are alternatives. Raises BadRequest for a value without a word and
    for operators that are not supported.
    """
    found = [_rids(clause.parameter, _searched(clause, value), sql, hasher) for value in clause.values]
    complete = f"(SELECT fhir_words_complete({sql.tenant}, {_type_id(clause, sql)}))"
    unique = len(found) == 1 and clause.parameter.code == "_text"
    one = found[0] if len(found) == 1 else f"SELECT i.rid FROM ({' UNION ALL '.join(found)}) i WHERE true"
    return Condition(f"{one} AND {complete}", unique=unique)


def has_text(parameter: Parameter) -> bool:
    """Whether the parameter takes the modifier :text: it leads to text by plain element paths."""
    return bool(parameter.expression) and parameter.type in ("string", "token") and bool(_places(parameter))


def score_sql(clauses: Sequence[Clause], sql: SqlParameters, hasher: Hasher, rid: str = "r.rid") -> str:
    """How well a resource matches the `SCORED` ones of the clauses: a scalar float8 from 0 to 1, for its ``rid``.

    It is the mean over the words searched for, of several alternatives the best; the weight of a word is that of the
    text where it weighs most. The column is null where none of the clauses is scored.
    https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.search.score
    """
    scores = []
    for clause in clauses:
        if clause.parameter.code in SCORED:
            of_values = [_score(clause, _searched(clause, value), sql, hasher, rid) for value in clause.values]
            scores.append(of_values[0] if len(of_values) == 1 else f"greatest({', '.join(of_values)})")
    if not scores:
        return "NULL::float8"
    return f"(({' + '.join(scores)}) / {len(scores)})"


def _type_id(clause: Clause, sql: SqlParameters) -> str:
    return sql.bind(definitions.load().type_ids[clause.parameter.resource_type], "smallint")


def _searched(clause: Clause, escaped: str) -> list[str]:
    """The distinct words of a value. Whoever writes an operator or a wildcard learns that there are none."""
    value = unescape(escaped)
    if '"' in value:
        raise bad_value(clause, "phrases in quotes cannot be searched; without them, all words must be there")
    parts = value.split()
    if any(part.endswith("*") or part.startswith("*") for part in parts):
        raise bad_value(clause, "whole words are searched; leave the * out and write the word in full")
    if any(part.strip("()") in ("OR", "NOT") for part in parts) or any(_MINUS.match(part) for part in parts):
        raise bad_value(
            clause, "OR, NOT and - are not supported: all words must be there, and alternatives stand between commas"
        )
    found = list(dict.fromkeys(words.words(" ".join(part for part in parts if part.strip("()") != "AND"))))
    if not found:
        raise bad_value(clause, "the value has no word; at least one letter or digit is needed")
    if len(found) > MAX_WORDS:
        raise bad_value(clause, f"{len(found)} words are too many; at most {MAX_WORDS} can be searched at once")
    return found


def _rids(parameter: Parameter, found: list[str], sql: SqlParameters, hasher: Hasher) -> str:
    """The subquery for the resources that have all of the words where the parameter looks."""
    hashes = [sql.bind(_word(hasher, parameter.resource_type, word), "bigint") for word in found]
    rows = f"SELECT i.rid FROM idx_word i WHERE i.tenant_id = {sql.tenant} AND i.hash"
    if parameter.code == "_text":
        # Narratives are never indexed as phrases.
        at = f"AND i.place = {sql.bind(NARRATIVE, 'int')}"
        return _all([f"{rows} = {one} {at}" for one in hashes])
    if parameter.code == "_content":
        return _all([f"{rows} {_word_or_phrases(one, sql)}" for one in hashes])
    at = f"AND i.place = ANY({sql.bind(list(_places(parameter)), 'int[]')})"
    if parameter.type == "string":
        if _leads_to_codes(parameter):
            return _all([f"{rows} {_word_or_phrases(one, sql)} {at}" for one in hashes])
        return _all([f"{rows} = {one} {at}" for one in hashes])
    if len(hashes) == 1:
        return f"{rows} {_word_or_phrases(hashes[0], sql)} {at}"
    # The text of one code has all of the words, not one code some and another the rest.
    phrases = f"SELECT p.phrase FROM idx_phrase p WHERE p.tenant_id = {sql.tenant} AND p.word = "
    others = "".join(f" AND p.phrase IN ({phrases}{one})" for one in hashes[1:])
    return f"{rows} IN ({phrases}{hashes[0]}{others}) {at}"


def _all(queries: list[str]) -> str:
    return queries[0] + "".join(f" AND i.rid IN ({query})" for query in queries[1:])


def _word_or_phrases(word: str, sql: SqlParameters) -> str:
    """The comparison of ``i.hash`` with a word, or with any phrase that has it."""
    phrases = f"SELECT p.phrase FROM idx_phrase p WHERE p.tenant_id = {sql.tenant} AND p.word = {word}"
    return f"IN (SELECT {word} UNION ALL {phrases})"


def _score(clause: Clause, found: list[str], sql: SqlParameters, hasher: Hasher, rid: str) -> str:
    at = f" AND i.place = {sql.bind(NARRATIVE, 'int')}" if clause.parameter.code == "_text" else ""
    weights = []
    for word in found:
        one = sql.bind(_word(hasher, clause.parameter.resource_type, word), "bigint")
        scope = f"FROM idx_word i LEFT JOIN idx_phrase p ON p.tenant_id = {sql.tenant} AND p.word = {one}"
        weights.append(
            f"coalesce((SELECT max(coalesce(p.weight, i.weight)) {scope} AND p.phrase = i.hash"
            f" WHERE i.tenant_id = {sql.tenant} AND i.rid = {rid} AND (i.hash = {one} OR p.phrase IS NOT NULL){at}), 0)"
        )
    return f"({' + '.join(weights)}) / {float(words.FULL_WEIGHT * len(weights))}::float8"


@lru_cache(maxsize=1_024)
def _leads_to_codes(parameter: Parameter) -> bool:
    """Whether a string parameter reads the text of codes, which is indexed in phrases: Observation's value-string."""
    return any(
        path.steps and isinstance(path.steps[-1], Child) and path.steps[-1].name in ("text", "display")
        for path in paths(parameter.expression, parameter.resource_type)
    )


@lru_cache(maxsize=8_192)
def _places(parameter: Parameter) -> tuple[int, ...]:
    """The numbers of the places where the parameter's text is; () where it has none, or where one has no number."""
    try:
        found = paths(parameter.expression, parameter.resource_type)
    except Unsupported:
        return ()
    places: list[Place | None] = []
    for path in found:
        names = [step.name for step in path.steps if isinstance(step, Child)]
        if len(names) < len(path.steps):
            return ()
        if parameter.type == "token":
            if path.type in ("CodeableConcept", "Coding"):
                places.append(place_at(parameter.resource_type, names))
            elif path.type == "Identifier":
                places.append(place_at(parameter.resource_type, [*names, "type"]))
        elif path.type in _PARTS:
            places += (place_at(parameter.resource_type, [*names, part]) for part in _PARTS[path.type])
        else:
            places.append(place_at(parameter.resource_type, names))
    numbers = [0 if place is None else place.number for place in places]
    return () if 0 in numbers else tuple(dict.fromkeys(numbers))
