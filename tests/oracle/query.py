"""A search as the oracle evaluates it and as a client writes it. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from dataclasses import dataclass

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Clause:
    """One parameter; the values are alternatives and carry their escapes."""

    code: str
    modifier: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name in the query string."""
        return f"{self.code}:{self.modifier}" if self.modifier else self.code

    @property
    def value(self) -> str:
        """The value in the query string."""
        return ",".join(self.values)


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


Filter = Clause | Chain | Has


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
