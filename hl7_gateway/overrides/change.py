"""The changes that a feed's own mapping makes: fields before they are read, and rows beside those that there are.

docs/hl7-overrides.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9][0-9]{0,2})(?:\.([1-9][0-9]?))?")


CANONICAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s|#]{1,1000}")
"""A canonical URL without its version."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """PID-13, or PID-13.4: a field, or a component of each of its repetitions (0: the whole field)."""

    segment: str
    field: int
    component: int = 0

    def __str__(self) -> str:
        return f"{self.segment}-{self.field}" + (f".{self.component}" if self.component else "")


@dataclass(frozen=True, slots=True)
class Put:
    """A constant in a field; ``only_empty``: where nothing was sent."""

    field: FieldPath
    value: str
    only_empty: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """A field that is not read."""

    field: FieldPath


@dataclass(frozen=True, slots=True)
class Copy:
    """What one field holds is read as another; ``move``: and no longer as the first. ``add``: beside what is there."""

    source: FieldPath
    target: FieldPath
    move: bool = False
    add: bool = False


@dataclass(frozen=True, slots=True)
class Translate:
    """Codes of a field that stand for others; those that are not listed stay."""

    field: FieldPath
    codes: tuple[tuple[str, str], ...]


class Coded(NamedTuple):
    """A code that stands for another, and the system of codes that the other one must be of where it names one."""

    code: str
    display: str
    system: str
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What a ConceptMap makes of codes; ``other`` of those that it does not list (None: they stay).

    ``codes`` has None for a code that has no counterpart: it stays. ``digest`` is the same where the meaning is.
    """

    codes: Mapping[str, Coded | None]
    other: Coded | None
    digest: str


@dataclass(frozen=True, slots=True)
class TranslateByMap:
    """The same, by a ConceptMap of the clinic: ``url``, and ``version`` where it is told.

    ``source`` and ``target`` choose among its groups by their code systems. With ``coding`` the field is a CWE, whose
    name and system are replaced too. ``where`` is the change in its file. ``table`` is None until it was loaded.
    """

    field: FieldPath
    url: str
    version: str
    source: str
    target: str
    coding: bool
    where: str
    table: Table | None = None

    @property
    def canonical(self) -> str:
        """As it is written: url, or url|version."""
        return f"{self.url}|{self.version}" if self.version else self.url


@dataclass(frozen=True, slots=True)
class Read:
    """A field that says an element, of the resource of a type that the message spoke of last.

    ``extension`` is the URL of the extension that it becomes, ``many`` whether each repetition is an entry.
    """

    field: FieldPath
    resource: str
    element: str
    datatype: str
    extension: str = ""
    many: bool = False


Change = Put | Drop | Copy | Translate | TranslateByMap | Read
