"""A record's rows multiplied: the same record of other patients, with the very rows that the server would write.

Extracting what the index holds costs 150 us for each resource, writing it again with other ids a tenth of that. What
differs between two clones are the ids, what is hashed of them, the identifiers, and the dates, moved by whole days.
tests/unit/benchmarks/test_cloning.py compares clones with what the server extracts of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import itemgetter
from random import Random
from typing import Any

from benchmarks import population
from benchmarks.copying import lines, phrases
from benchmarks.prepared import Prepared, prepare
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import instants, json
from fhir_server.search import token_variants
from fhir_server.search.registry import parameters
from fhir_server.store.index_rows import IndexRows

DAY = 86_400_000_000
_DATE = re.compile(rb"\b\d{4}-\d\d-\d\d(?=[T\"])")
_MARK = re.compile(rb"\x00(\d+)\x00")


class Mark:
    """A place in a row for a value that each clone has of its own; ``str`` gives the text that stands there."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __str__(self) -> str:
        return f"\x00{self.number}\x00"


@dataclass(frozen=True, slots=True)
class Changes:
    """What one clone has of its own: its tenant, ids, identifiers' values, and how many days its dates are moved."""

    tenant: int
    ids: Sequence[str]
    identifiers: Sequence[str]
    days: int


Maker = Callable[[Changes], object]
"""Makes the value of one place."""

RID, UPDATED = 0, 1
"""The places that differ from resource to resource, before those of the record."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Lines of COPY with a %b for each place, and which values go there."""

    text: bytes
    places: Callable[[Sequence[bytes]], tuple[bytes, ...]]


class Template:
    """The rows of one record, to be written any number of times. Its resources are in the order of their making."""

    def __init__(self, record: Sequence[dict[str, Any]], hasher: Hasher) -> None:
        self._hasher = hasher
        self._makers: list[Maker] = [lambda changes: changes.tenant]
        self._numbers: dict[object, Mark] = {}
        self._identifiers = [found["value"] for one in record for found in one.get("identifier", ())]
        # Through JSON, as a create reads it: decimals keep their digits.
        prepared = [prepare(json.parse(json.dumps(resource)), hasher, resource["id"]) for resource in record]
        self._types = [one.resource_type for one in prepared]
        self.phrases = phrases(one.rows for one in prepared)
        self._marks = self._marked(record, prepared)
        self._texts = [self._text(one) for one in prepared]

    def __len__(self) -> int:
        return len(self._texts)

    def changes(self, rng: Random, tenant: int, days: int) -> Changes:
        """New ids and identifiers for one clone."""
        ids = [population.new_id(rng) for _ in self._types]
        return Changes(tenant, ids, [f"{rng.getrandbits(64):016x}" for _ in self._identifiers], days)

    def values(self, changes: Changes) -> list[bytes]:
        """The values of all places of one clone; the first two are set for each resource."""
        return [b"", b"", *(b"%b" % str(make(changes)).encode() for make in self._makers)]

    def write(self, number: int, values: list[bytes], rid: int, updated: int) -> Iterable[tuple[str, bytes]]:
        """The lines of the clone's resource of that number, by table."""
        values[RID], values[UPDATED] = b"%d" % rid, b"%d" % updated
        for table, text in self._texts[number]:
            yield table, text.text % text.places(values)

    def _place(self, key: object, make: Maker) -> Mark:
        if key not in self._numbers:
            self._makers.append(make)
            self._numbers[key] = Mark(len(self._makers) + UPDATED)
        return self._numbers[key]

    def _marked(self, record: Sequence[dict[str, Any]], prepared: Sequence[Prepared]) -> dict[object, Mark]:
        """The place of each number and text that differs between clones."""
        marks: dict[object, Mark] = {}
        position = 0
        for n, (resource, one) in enumerate(zip(record, prepared, strict=True)):
            marks[one.id.encode()] = self._place(("id", n), _id(n))
            marks[one.key] = self._place(("key", n), _key(n, one.resource_type, self._hasher))
            for identifier in resource.get("identifier", ()):
                marks[identifier["value"].encode()] = self._place(("value", position), _identifier(position))
                param = parameters(one.resource_type)["identifier"].param
                variants = token_variants.of_coding(identifier["system"], identifier["value"])
                for variant in (*variants, *token_variants.of_type(identifier)):
                    if variant.endswith(identifier["value"]):
                        prefix = f"{param}:{variant.removesuffix(identifier['value'])}"
                        marks[self._hasher.uncached(prefix + identifier["value"])] = self._place(
                            ("hash", position, prefix), _hash(position, prefix, self._hasher)
                        )
                position += 1
        return marks

    def _text(self, one: Prepared) -> list[tuple[str, _Text]]:
        rows, marked = one.rows, self._number
        moved = IndexRows(
            params=rows.params,
            tokens=[marked(token) for token in rows.tokens],
            references=[(param, marked(target)) for param, target in rows.references],
            strings=rows.strings,
            dates=[(param, self._moved(low), self._moved(high)) for param, low, high in rows.dates],
            quantities=rows.quantities,
            composites=rows.composites,
            # Texts are the same in every clone.
            words=rows.words,
            patient=None if rows.patient is None else marked(rows.patient),
            date_low=None if rows.date_low is None else self._moved(rows.date_low),
            date_high=None if rows.date_high is None else self._moved(rows.date_high),
        )
        # The marks take the place of numbers and texts, and are written as such.
        changed: Any = replace(
            one, id=str(self._marks[one.id.encode()]), key=marked(one.key), body=self._body(one.body), rows=moved
        )
        tenant, rid, updated = Mark(UPDATED + 1), Mark(RID), Mark(UPDATED)
        return [(table, _template(text)) for table, text in lines(changed, tenant, rid, updated) if text]

    def _number(self, number: int) -> Any:
        return self._marks.get(number, number)

    def _moved(self, us: int) -> Any:
        return us if us in (instants.MIN, instants.MAX) else self._place(("us", us), lambda c: us + c.days * DAY)

    def _body(self, body: bytes) -> bytes:
        for text, mark in self._marks.items():
            if isinstance(text, bytes):
                body = body.replace(text, str(mark).encode())
        return _DATE.sub(lambda found: str(self._day(found[0])).encode(), body)

    def _day(self, text: bytes) -> Mark:
        day = date.fromisoformat(text.decode()).toordinal()
        return self._place(("day", day), lambda changes: date.fromordinal(day + changes.days).isoformat())


def _id(n: int) -> Maker:
    return lambda changes: changes.ids[n]


def _key(n: int, resource_type: str, hasher: Hasher) -> Maker:
    return lambda changes: hasher.uncached(f"{resource_type}/{changes.ids[n]}")


def _identifier(position: int) -> Maker:
    return lambda changes: changes.identifiers[position]


def _hash(position: int, prefix: str, hasher: Hasher) -> Maker:
    return lambda changes: hasher.uncached(prefix + changes.identifiers[position])


def _template(text: bytes) -> _Text:
    numbers = [int(number) for number in _MARK.findall(text)]
    getter: Any = itemgetter(*numbers)
    return _Text(_MARK.sub(b"%b", text.replace(b"%", b"%%")), getter if len(numbers) > 1 else lambda v: (getter(v),))
