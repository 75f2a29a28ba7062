"""How much of what a splitter finds in messages stands in resources, and the other way round: docs/hl7-recall.md

    python -m tests.functional.hl7.recall

writes the tables of that page anew, from the sample messages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.message import Message
from tests.functional.hl7.known import known
from tests.functional.hl7.splitter import Fact, facts, said, split
from tests.unit.hl7_gateway.conversion.applied import FEED, applied

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/hl7-recall.md"
SAMPLES = ROOT.parent / "shared" / "data" / "hl7v2"
ZONE = "America/New_York"

BEGIN = "<!-- tables: made by tests/functional/hl7/recall.py -->"
END = "<!-- end of tables -->"

Resource = dict[str, Any]

_OF_THE_STORE = frozenset({"resourceType", "id", "reference", "versionId", "lastUpdated", "source"})
"""Elements that a server needs, and that no message says."""


def read(path: Path) -> str:
    """A sample message as text."""
    return path.read_bytes().decode("utf-8-sig")


class Found:
    """The resources of a message, by what is written in them."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._objects: dict[str, set[int]] = {}
        self._wholes: dict[str, set[int]] = {}
        self._count = 0
        for number, resource in enumerate(resources):
            self._enter(resource, number)
        self._long = "\n".join(text for text in self._objects if len(text) > 2)

    def _enter(self, holder: dict[str, Any], whole: int) -> None:
        self._count += 1
        here = self._count
        for name, value in holder.items():
            for inner in () if name in _OF_THE_STORE else value if isinstance(value, list) else [value]:
                if isinstance(inner, dict):
                    self._enter(inner, whole)
                else:
                    for text in names(str(inner)) if name == "system" else [str(inner), *str(inner).splitlines()]:
                        self._objects.setdefault(text, set()).add(here)
                        self._wholes.setdefault(text, set()).add(whole)

    def holds(self, fact: Fact) -> bool:
        """Whether a fact is among them: all of it in one object, or in one resource."""
        if len(fact.all_of) == 1:
            (alternatives,) = fact.all_of
            return any(one in self._objects or (len(one) > 2 and one in self._long) for one in alternatives)
        index = self._wholes if fact.whole else self._objects
        places = [set().union(*(index.get(one, ()) for one in alternatives)) for alternatives in fact.all_of]
        return bool(set.intersection(*places))


@cache
def names(system: str) -> list[str]:
    """What a message may call a system: itself, the OID in it, the authority or the table of HL7 v2 at its end."""
    table = re.search(r"/v2-(\d{4})$", system)
    if table:
        return [system, f"HL7{table[1]}"]
    return [system, unquote(system.rpartition(":")[2])] if system.startswith("urn:") else [system]


@dataclass(frozen=True)
class Sent:
    """All that a message writes: its components as FHIR may write them, and their words."""

    pieces: frozenset[str]
    words: frozenset[str]

    @classmethod
    def of(cls, message: str) -> Sent:
        """What a message writes."""
        pieces: set[str] = set()
        for name, fields in split(message):
            for number, one in enumerate(fields, 1):
                for piece in dict.fromkeys(re.split(r"[~^&]", one)):
                    pieces |= said(piece, f"{name}-{number}.1", ZONE)
        return cls(frozenset(pieces), frozenset(word for piece in pieces for word in re.findall(r"\w+", piece)))

    def says(self, text: str) -> bool:
        """Whether a text is sent, or made of what is."""
        return text in self.pieces or self.words.issuperset(re.findall(r"\w+", text))


def _leaves(holder: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(holder, dict):
        for key, value in holder.items():
            if key not in _OF_THE_STORE:
                yield from _leaves(value, key)
    elif isinstance(holder, list):
        for value in holder:
            yield from _leaves(value, name)
    else:
        yield name, holder


@dataclass
class Measured:
    """Facts by segment, and values by type of resource: how many there are, and those that were missed."""

    facts: Counter[str] = field(default_factory=Counter)
    missed: dict[str, Counter[str]] = field(default_factory=dict)
    values: Counter[str] = field(default_factory=Counter)
    unsaid: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, message: str, resources: list[Resource]) -> None:
        """Look up what a message says among its resources, and the other way round."""
        found, sent = Found(resources), Sent.of(message)
        for fact in facts(message, ZONE):
            self.facts[fact.segment] += 1
            if not found.holds(fact):
                self.missed.setdefault(fact.segment, Counter())[fact.place] += 1
        for resource in resources:
            kind = resource["resourceType"]
            for name, value in _leaves(resource, ""):
                self.values[kind] += 1
                text = str(value)
                if not known(name, text) and not any(map(sent.says, names(text)[1:] or [text])):
                    self.unsaid.setdefault(kind, Counter())[f"{name}: {text}"] += 1

    def recall(self, segment: str) -> float:
        """The share of the facts of a segment that was found, in percent."""
        return _share(self.facts[segment], self.missed.get(segment, Counter()).total())

    def precision(self, kind: str) -> float:
        """The share of the values in resources of a type that the message says, or that need none to say them."""
        return _share(self.values[kind], self.unsaid.get(kind, Counter()).total())

    def tables(self) -> str:
        """Both as tables, with what is missed most."""
        lines = ["| segment | facts | found | missed most |", "|---|---|---|---|"]
        for segment, count in sorted(self.facts.items()):
            lines.append(f"| {segment} | {count} | {self.recall(segment)} % | {_most(self.missed.get(segment))} |")
        lines += ["", "| resource | values | sent or known |", "|---|---|---|"]
        lines += [f"| {kind} | {count} | {self.precision(kind)} % |" for kind, count in sorted(self.values.items())]
        return "\n".join(lines)


def _most(missed: Counter[str] | None, most: int = 8) -> str:
    """What was missed most often, and of how many other places something was."""
    if not missed:
        return ""
    listed = ", ".join(place for place, _ in sorted(missed.most_common(), key=lambda one: (-one[1], one[0]))[:most])
    return f"{listed} and {len(missed) - most} more" if len(missed) > most else listed


_PINNED = re.compile(r"^\| (\w+) \| \d+ \| ([\d.]+) % \|", re.MULTILINE)


def pinned() -> dict[str, float]:
    """What the page says of each segment and each resource type."""
    return {name: float(share) for name, share in _PINNED.findall(PAGE.read_text())}


def converted() -> list[str]:
    """The sample messages that are converted."""
    messages = [read(path) for path in sorted(SAMPLES.glob("*.hl7"))]
    return [message for message in messages if Message(message).message_type in FAMILIES]


@cache
def conversions() -> tuple[tuple[str, Conversion, list[Resource]], ...]:
    """The sample messages, what each says, and what it comes to by itself."""
    said = ((message, convert(Message(message), FEED)) for message in converted())
    return tuple((message, conversion, list(applied(conversion).values())) for message, conversion in said)


@cache
def measured() -> Measured:
    """What is found of all sample messages."""
    found = Measured()
    for message, _, resources in conversions():
        found.add(message, resources)
    return found


def write(found: Measured) -> None:
    """Write the tables of the page anew."""
    before, _, rest = PAGE.read_text().partition(f"{BEGIN}\n")
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{found.tables()}\n{END}{after}")


def _share(all_of_them: int, missing: int) -> float:
    return round(100 * (all_of_them - missing) / all_of_them, 1) if all_of_them else 100.0


if __name__ == "__main__":
    write(measured())
