"""The segments of a message against its structure: which are missing, out of place, or too many.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.12 Chapter formats for defining HL7 messages"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hl7_gateway.conformance.definitions import Node
from hl7_gateway.conformance.finding import Finding
from hl7_gateway.message import Message, Segment
from hl7_gateway.problems import Place

ANY: Final = "ANYHL7SEGMENT"
_TROUBLES: Final = 20
"""After so many segments out of place it is no message of that structure, and the rest is not looked at."""


def order(message: Message, structure: Node) -> Iterator[Finding]:
    """What is wrong with the order of the segments. Z segments may stand anywhere."""
    known = frozenset(_names(structure))
    present = []
    for segment in message.segments:
        if segment.name.startswith("Z") or segment.name in ("ADD", "DSC"):
            continue
        if segment.name in known or ANY in known:
            present.append(segment)
        else:
            said = f"{structure.name} has no such segment; what it holds may not be understood"
            yield Finding("W", _place(segment), said)
    for _ in range(_TROUBLES):
        walk = _Walk(present)
        walk.through(structure.nodes)
        if walk.position == len(present):
            break
        stray = present.pop(walk.position)
        yield Finding("W", _place(stray), f"it stands where {structure.name} has none, or is one too many")
    yield from walk.missing


def _place(segment: Segment) -> Place:
    return Place(segment.name, segment.number)


def _names(node: Node) -> Iterator[str]:
    if node.nodes:
        for child in node.nodes:
            yield from _names(child)
    else:
        yield node.name


class _Walk:
    """Takes segments in the order of a structure, as many of each as there may be."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        self.position = 0
        self.missing: list[Finding] = []

    def through(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            count = 0
            while (node.most == -1 or count < node.most) and self._starts(node):
                self._take(node)
                count += 1
            if count < node.least:
                self._miss(node)

    def _take(self, node: Node) -> None:
        if not node.is_group:
            self.position += 1
        elif node.any_of:
            self._take(next(child for child in node.nodes if self._starts(child)))
        else:
            self.through(node.nodes)

    def _starts(self, node: Node) -> bool:
        """Whether the next segment can be the first of a node."""
        if self.position == len(self._segments):
            return False
        if not node.is_group:
            return node.name in (self._segments[self.position].name, ANY)
        for child in node.nodes:
            if self._starts(child):
                return True
            if child.least and not node.any_of:
                return False
        return False

    def _miss(self, node: Node) -> None:
        if node.is_group:
            # A required group lacks its required segments; where it has none, one of its segments.
            required = [child for child in node.nodes if child.least] if not node.any_of else []
            for child in required:
                self._miss(child)
            return
        before = self._segments[self.position - 1] if self.position else None
        after = f" after {_place(before)}" if before is not None else ""
        self.missing.append(Finding("E", Place(node.name), f"the segment is required{after}"))
