"""Rows of a feed's own beside those of all feeds. docs/hl7-overrides.md"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hl7_gateway.conversion.table import Row, SegmentMap, extension
from hl7_gateway.overrides.change import Change, Read
from hl7_gateway.overrides.datatypes import DATATYPES


def rows(changes: tuple[Change, ...]) -> Mapping[str, tuple[SegmentMap, ...]]:
    """Segment -> the maps that a feed has for it, one for each resource type."""
    # What is remembered must not be told apart, or kept, by what ConceptMaps say.
    return _rows(tuple(change for change in changes if isinstance(change, Read))) if changes else {}


@lru_cache(maxsize=256)
def _rows(changes: tuple[Read, ...]) -> Mapping[str, tuple[SegmentMap, ...]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for change in changes:
        made = found.setdefault((change.field.segment, change.resource), [])
        made.append(_row(change, len(made)))
    maps: dict[str, list[SegmentMap]] = {}
    for (segment, resource), listed in found.items():
        maps.setdefault(segment, []).append(SegmentMap(segment, resource, listed))
    return {segment: tuple(listed) for segment, listed in maps.items()}


def _row(change: Read, number: int) -> Row:
    convert, element = DATATYPES[change.datatype]
    if change.extension:
        convert = extension(change.extension, element, convert)
    # The label keeps what it says apart from what the rows of all feeds say of the same field.
    return Row(change.field.field, change.element, convert, change.many, label=f"own{number}")
