"""Where a resource has text for people to read, and under which number the index knows each place.

Text is what a person may have written or is to read: strings and markdown, displays, the narrative; not ids, codes,
URLs, dates, numbers or data. https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from fhir_server.crypto.hashing import param_id
from fhir_server.r4 import definitions

ELSEWHERE = 0
"""The number of every place that no search parameter leads to."""

NARRATIVE = 1
"""The number of the narrative of the resource itself."""

MAX_DEPTH = 6
"""Elements that lead to a place with a number of its own; the standard parameters lead through five at most."""

# Strings that are no text: names for machines, data, and what is found by token parameters.
_CODE_LIKE = frozenset({"id", "version", "linkId", "path", "expression", "versionId"})
_NO_TEXT = frozenset({"ContactPoint.value", "Identifier.value", "Reference.reference", "SampledData.data"})
_QUANTITIES = frozenset(
    {"Age", "Count", "Distance", "Duration", "Money", "MoneyQuantity", "Quantity", "SimpleQuantity"}
)
_WITHOUT_NUMBERS = frozenset({"Extension", "Resource"})


INSIDE, WORDS, PHRASE, XHTML, RESOURCE = range(5)
"""What an element is: something to look into, a text of its own words, one that repeats, a narrative, a resource."""

Step = tuple[int, "Place"]
"""What an element is, and the place inside of it, or for text the place that it belongs to."""


@dataclass(slots=True, eq=False)
class Place:
    """Elements of one type at one place of a resource type.

    ``number`` is the place's in the index. ``name`` is the way to it ("name.family"), "" where it has no number of its
    own. ``steps`` are its elements with text, by their names in JSON.
    """

    type: str
    number: int
    name: str = ""
    depth: int = 0
    _steps: dict[str, Step] | None = field(default=None)

    @property
    def steps(self) -> dict[str, Step]:
        """Found when they are first needed: types are recursive."""
        if self._steps is None:
            self._steps = _steps(self)
        return self._steps


def number(name: str) -> int:
    """The number of a place of a resource, by the names in JSON that lead there: ``code``, ``component.code``.

    A signed 32-bit hash. Places of different resource types may share one, as the hashes of words hold the type.
    """
    return param_id(f".{name}")


@lru_cache(maxsize=256)
def root(resource_type: str) -> Place:
    """The place of a resource itself. Raises KeyError for what is no resource type."""
    definitions.load().type_ids[resource_type]
    return Place(resource_type, ELSEWHERE)


@lru_cache(maxsize=2_048)
def elsewhere(type_name: str) -> Place:
    """A value of the type at any place without a number of its own: in extensions, contained resources, very deep."""
    return Place(type_name, ELSEWHERE, depth=MAX_DEPTH)


def place_at(resource_type: str, names: Iterable[str]) -> Place | None:
    """The place that the names in JSON lead to from a resource; None where there is no text."""
    place = root(resource_type)
    for name in names:
        step = place.steps.get(name)
        if step is None:
            return None
        place = step[1]
    return place


def _steps(place: Place) -> dict[str, Step]:
    pack = definitions.load()
    is_root = place.name == "" and place.depth == 0
    found: dict[str, Step] = {}
    for element in pack.types[place.type].elements.values():
        for name, ref in element.json_names().items():
            step = _step(place, name, ref.code, is_root=is_root)
            if step is not None:
                found[name] = step
    return found


def _step(place: Place, name: str, code: str, *, is_root: bool) -> Step | None:
    pack = definitions.load()
    if place.type == "Narrative":
        return (XHTML, place) if code == "xhtml" else None
    if name in _CODE_LIKE or f"{place.type}.{name}" in _NO_TEXT or code in _QUANTITIES:
        return None
    if is_root and code == "Narrative":
        return (INSIDE, Place(code, NARRATIVE, depth=MAX_DEPTH))
    if (place.type, name) in (("CodeableConcept", "text"), ("Coding", "display"), ("Reference", "display")):
        return (PHRASE, place)
    if code == "Coding" and place.type == "CodeableConcept":
        # A concept and its codings are one place: they mostly say the same.
        return (INSIDE, Place(code, place.number, place.name, MAX_DEPTH))
    if code in ("string", "markdown"):
        return (WORDS, _below(place, name, code))
    if code == "Resource":
        return (RESOURCE, place)
    kind = pack.types[code].kind if code in pack.types else "primitive"
    return None if kind == "primitive" else (INSIDE, _below(place, name, code))


def _below(place: Place, name: str, code: str) -> Place:
    if place.depth >= MAX_DEPTH or code in _WITHOUT_NUMBERS or place.type == "Reference":
        return elsewhere(code)
    full = f"{place.name}.{name}" if place.name else name
    return Place(code, number(full), full, place.depth + 1)
