"""The rules of each type as both passes read them, drawn from the definitions pack. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element, TypeDefinition, TypeRef
from fhir_server.validation import bindings
from fhir_server.validation.primitives import ID, PREDICATES, URI, URIS, Predicate

MAX_DEPTH = 64
"""Objects within objects, the resource itself being 1; deeper data is refused."""

STRUCTURAL = frozenset({"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"})
"""Invariants that the passes check by the structure itself rather than by their expression."""

MOVED = {
    "StructureDefinition": ("sdf-8", "sdf-8a"),
    "StructureDefinition.snapshot": (),
    "StructureDefinition.differential": (),
}
"""Invariants that speak of the whole resource from inside it: checked on the resource."""

SPEAKS_OF = {"ras-1": "Range", "sqty-1": "Quantity"}
"""Invariants that stand on a choice of types, but speak of one of them."""

ANY_RESOURCE = frozenset({"Resource", "DomainResource"})


@dataclass(frozen=True, slots=True)
class Property:
    """One JSON property of a type. https://hl7.org/fhir/R4/json.html

    ``predicate`` is set for primitives other than xhtml. ``plain`` properties (ids, Extension.url) cannot be extended.
    ``invariants`` are checked on each value of the property, beside those of its type.
    """

    name: str
    element: Element
    ref: TypeRef
    predicate: Predicate | None
    plain: bool
    invariants: tuple[str, ...]

    @property
    def repeats(self) -> bool:
        return self.element.max != 1

    @property
    def is_resource(self) -> bool:
        return self.ref.code in ANY_RESOURCE

    @property
    def bound(self) -> str:
        """The value set that a CodeableConcept must have a coding from, or ""."""
        return self.element.value_set if self.ref.code == "CodeableConcept" else ""

    @property
    def code(self) -> str:
        return self.ref.code


@dataclass(frozen=True, slots=True)
class TypeRules:
    """The rules of one type; ``properties`` by JSON name, ``invariants`` those of severity error."""

    name: str
    kind: str
    properties: dict[str, Property]
    required: tuple[Element, ...]
    choices: tuple[Element, ...]
    invariants: tuple[str, ...]
    warnings: tuple[str, ...]
    definition: TypeDefinition

    @property
    def is_resource(self) -> bool:
        return self.kind == "resource"


@lru_cache(maxsize=2048)
def of(type_name: str) -> TypeRules:
    """The rules of a type by its name in the definitions pack. Raises KeyError for a name that is not there."""
    pack = definitions.load()
    definition = pack.types[type_name]
    properties = {}
    for element in definition.elements.values():
        for name, ref in element.json_names().items():
            properties[name] = _property(pack, definition, element, name, ref)
    keys = definition.invariants + _backbone_invariants(pack, type_name)
    if type_name in MOVED:
        keys = tuple(key for key in keys if not key.startswith("sdf-8") or key == "sdf-8b") + MOVED[type_name]
    checked = [key for key in dict.fromkeys(keys) if key not in STRUCTURAL]
    return TypeRules(
        name=type_name,
        kind=definition.kind,
        properties=properties,
        required=tuple(e for e in definition.elements.values() if e.min),
        choices=tuple(e for e in definition.elements.values() if e.choice),
        invariants=tuple(key for key in checked if pack.constraints[key].severity == "error"),
        warnings=tuple(key for key in checked if pack.constraints[key].severity != "error"),
        definition=definition,
    )


def _backbone_invariants(pack: definitions.Definitions, type_name: str) -> tuple[str, ...]:
    """A backbone's invariants stand on the element that defines it; what refers to its content takes them over."""
    parent, _, name = type_name.rpartition(".")
    return pack.types[parent].elements[name].invariants if parent else ()


def _property(
    pack: definitions.Definitions, definition: TypeDefinition, element: Element, name: str, ref: TypeRef
) -> Property:
    plain = element.name == "id" or (definition.name == "Extension" and element.name == "url")
    own = () if "." in ref.code and ref.code == f"{definition.name}.{element.name}" else element.invariants
    own = tuple(key for key in own if SPEAKS_OF.get(key, ref.code) == ref.code)
    inherited = pack.types[ref.code].invariants if ref.code in pack.types else ()
    if "." in ref.code:
        inherited += _backbone_invariants(pack, ref.code)
    known = {"".join(pack.constraints[key].expression.split()) for key in inherited}
    return Property(
        name=name,
        element=element,
        ref=ref,
        predicate=_predicate(pack, definition, element, ref),
        plain=plain,
        invariants=tuple(
            key
            for key in own
            if key not in STRUCTURAL
            and pack.constraints[key].severity == "error"
            and "".join(pack.constraints[key].expression.split()) not in known
        ),
    )


def _predicate(
    pack: definitions.Definitions, definition: TypeDefinition, element: Element, ref: TypeRef
) -> Predicate | None:
    if element.name == "id":
        # Resource.id is an id; the id of an element is any string without spaces, which is what URI checks.
        return ID.fullmatch if definition.kind == "resource" else URI.fullmatch
    if ref.code == "code" and element.value_set:
        return bindings.code_predicate(element.value_set, f"{definition.name}.{element.name}")
    if ref.code == "uri" and element.name in ("system", "url"):
        return URIS.__getitem__
    return PREDICATES.get(ref.code)
