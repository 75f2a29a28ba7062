"""A search as the oracle evaluates it and as a client writes it. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Clause:
    """One parameter; the values are alternatives and carry their escapes.

    ``kind`` is the parameter's type, for clauses within a _filter alone; "=" before a modifier says that it is an
    operator there, which no query string can name.
    """

    code: str
    modifier: str
    values: tuple[str, ...]
    kind: str = ""

    @property
    def name(self) -> str:
        """The name in the query string."""
        return f"{self.code}:{self.modifier}" if self.modifier else self.code

    @property
    def value(self) -> str:
        """The value in the query string."""
        return ",".join(self.values)

    @property
    def operator(self) -> str:
        """What stands between the path and the value in a _filter."""
        if self.modifier.startswith("="):
            return self.modifier[1:]
        if self.kind == "string" and self.modifier in ("", "contains"):
            return "co" if self.modifier else "sw"
        prefix = self.values[0][:2]
        return prefix if self.kind in ORDERED and not self.modifier and prefix.isalpha() else "eq"

    @property
    def test_path(self) -> str:
        """The parameter in a _filter, with the modifiers that have no operator."""
        shown = self.modifier and not self.modifier.startswith("=") and self.operator != "co"
        return self.name if shown else self.code

    @property
    def test_value(self) -> str:
        """The value in a _filter: strings have no escapes there, and prefixes are operators."""
        value = self.values[0]
        if self.kind in ORDERED and not self.modifier and value[:2].isalpha():
            return value[2:]
        return (
            re.sub(r"\\(.)", r"\1", value)
            if (self.kind == "string" and self.operator != "eq") or self.modifier[:1] == "="
            else value
        )


@dataclass(frozen=True)
class Chain:
    """``code[:to].part``; without ``to`` the reference may lead to any type that knows the part."""

    code: str
    to: str
    part: Filter

    @property
    def name(self) -> str:
        """The name in the query string."""
        return f"{self.code}:{self.to}.{self.part.name}" if self.to else f"{self.code}.{self.part.name}"

    @property
    def value(self) -> str:
        """The value in the query string."""
        return self.part.value


@dataclass(frozen=True)
class Has:
    """``_has:source:code:part``"""

    source: str
    code: str
    part: Filter

    @property
    def name(self) -> str:
        """The name in the query string."""
        return f"_has:{self.source}:{self.code}:{self.part.name}"

    @property
    def value(self) -> str:
        """The value in the query string."""
        return self.part.value


@dataclass(frozen=True)
class Combined:
    """Filters of which all ("and") or any ("or") hold; only within a _filter."""

    operator: str
    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Negated:
    """A filter that does not hold; only within a _filter."""

    part: Filter


@dataclass(frozen=True)
class Written:
    """A filter in the language of ``_filter``. https://hl7.org/fhir/R4/search_filter.html"""

    part: Filter
    name: str = "_filter"

    @property
    def value(self) -> str:
        """The text of the filter."""
        return written(self.part)


Filter = Clause | Chain | Has | Combined | Negated | Written

ORDERED = ("date", "number", "quantity")
"""The types of parameters whose values have a prefix."""


def written(wanted: Filter) -> str:
    """A filter in the language of ``_filter``."""
    if isinstance(wanted, Combined):
        return f" {wanted.operator} ".join(f"({written(part)})" for part in wanted.parts)
    if isinstance(wanted, Negated):
        return f"not ({written(wanted.part)})"
    if isinstance(wanted, Has):
        return f"_has:{wanted.source}:{wanted.code}:{written(wanted.part)}"
    if isinstance(wanted, Chain):
        step = f"{wanted.code}:{wanted.to}" if wanted.to else wanted.code
        if isinstance(wanted.part, Combined):
            condition, last = wanted.part.parts
            return f"{step}[{written(condition)}].{written(last)}"
        return f"{step}.{written(wanted.part)}"
    assert isinstance(wanted, Clause), wanted
    return f"{wanted.test_path} {wanted.operator} {json.dumps(wanted.test_value, ensure_ascii=False)}"


@dataclass(frozen=True)
class Include:
    """``_include`` or ``_revinclude``: ``code`` may be "*", ``source`` too, and ``target`` "" for any type."""

    source: str
    code: str
    target: str = ""
    reverse: bool = False
    iterate: bool = False

    @property
    def name(self) -> str:
        """The name in the query string."""
        return ("_revinclude" if self.reverse else "_include") + (":iterate" if self.iterate else "")

    @property
    def value(self) -> str:
        """The value in the query string."""
        if self.source == "*":
            return "*"
        return ":".join(filter(None, [self.source, self.code, self.target]))


@dataclass(frozen=True)
class Search:
    """A search of one type, of several (system-wide) or within a compartment."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    includes: tuple[Include, ...] = ()
    compartment: str = ""
    system: bool = False
    count: int = 20

    @property
    def path(self) -> str:
        """Below the base: ``Patient``, ``Patient/1/Observation``, ``Patient/1/*`` or "" for the base itself."""
        if self.compartment:
            return f"{self.compartment}/*" if self.system else f"{self.compartment}/{self.types[0]}"
        return "" if self.system else self.types[0]

    @property
    def pairs(self) -> Pairs:
        """The parameters, those of the results behind the filters."""
        found = [(one.name, one.value) for one in self.filters]
        if self.system:
            found.insert(0, ("_type", ",".join(self.types)))
        if self.sort:
            found.append(("_sort", ",".join(("-" if descending else "") + code for code, descending in self.sort)))
        return [*found, *((one.name, one.value) for one in self.includes), ("_count", str(self.count))]
