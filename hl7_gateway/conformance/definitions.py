"""What each version says about message structures, segments and data types, out of hl7apy. https://crs4.github.io/hl7apy/"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hl7apy import load_reference
from hl7apy.exceptions import ChildNotFound

from hl7_gateway.remembering import remembered
from hl7_gateway.wire.versions import USUAL, VERSIONS

_NEAREST: Final = {"2.7.1": "2.7"}
"""Versions that hl7apy does not have, and the one that says nearly the same."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field or component. ``most`` is -1 where it may repeat for ever, 0 where it is not used any more.

    ``kind`` is its data type, ``table`` the table of its codes ("HL70001") where HL7 defines it, ``parts`` what it is
    made of.
    """

    number: int
    kind: str
    least: int
    most: int
    table: str | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A segment or a group of a message structure. ``any_of``: one of its nodes, not all of them in order."""

    name: str
    least: int
    most: int
    nodes: tuple[Node, ...]
    any_of: bool = False

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return bool(self.nodes)


def known_version(version: str) -> str:
    """The version by whose definitions a message is looked at."""
    return _NEAREST.get(version, version) if version in VERSIONS else USUAL


@remembered(512)
def structure(version: str, name: str) -> Node | None:
    """A message structure (ADT_A01), None where the version has none of that name."""
    found = _found(name, "Message", version)
    return Node(name, 1, 1, _nodes(found[1])) if found is not None else None


@remembered(2_048)
def segment(version: str, name: str) -> tuple[Part, ...] | None:
    """The fields of a segment, None where the version has none of that name."""
    found = _found(name, "Segment", version)
    return _parts(found[1]) if found is not None else None


@remembered(512)
def datatype(version: str, name: str) -> tuple[Part, ...] | None:
    """The components of a data type, none of a simple one, None where the version has none of that name."""
    found = _found(name, "Datatypes_Structs", version)
    if found is None:
        return () if name in _SIMPLE else None
    return _parts(found)


@remembered(2_048)
def codes(version: str, table: str) -> frozenset[str]:
    """The codes of a table, none where the version does not list them."""
    found = _found(table, "Table", version)
    return frozenset(found[1]) if found is not None else frozenset()


_SIMPLE: Final = frozenset({"ST", "TX", "FT", "NM", "SI", "ID", "IS", "DT", "TM", "DTM", "GTS", "TN", "CM"})


def _found(name: str, kind: str, version: str) -> Any:
    try:
        return load_reference(name, kind, version)
    except (ChildNotFound, KeyError):
        return None


def _nodes(children: Sequence[Any]) -> tuple[Node, ...]:
    nodes = []
    for name, reference, (least, most), kind in children:
        below = _nodes(reference[1]) if kind == "GRP" and reference is not None else ()
        nodes.append(Node(name, least, most, below, reference is not None and reference[0] == "choice"))
    return tuple(nodes)


def _parts(children: Sequence[Any]) -> tuple[Part, ...]:
    return tuple(_part(child) for child in children)


def _part(child: Any) -> Part:
    name, reference, (least, most), _ = child
    number = int(name.rpartition("_")[2])
    if reference is None:
        return Part(number, "", least, most, None, ())
    below = _parts(reference[1]) if reference[0] == "sequence" and reference[1] else ()
    return Part(number, reference[2] or "", least, most, reference[4], below)
