"""The facts of FHIR 4.0.1 that the product is generated from. https://hl7.org/fhir/R4/downloads.html

The pack ``definitions.json.gz`` is compiled from the official definitions by ``scripts/build_definitions.py``. It holds
element trees, required bindings with their codes, invariants' expressions, search parameters and compartments.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import msgspec

PACK = Path(__file__).with_name("definitions.json.gz")


class TypeRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """One type that an element may have.
    https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type

    ``code`` is a datatype ("CodeableConcept", "string"), "Resource" for any contained resource, or the path of a
    backbone ("Patient.contact"). ``targets`` are the resource types that a Reference or canonical may name; empty: any.
    """

    code: str
    targets: tuple[str, ...] = ()


class Element(msgspec.Struct, frozen=True, omit_defaults=True):
    """One element of a type, by its name without "[x]". https://hl7.org/fhir/R4/elementdefinition.html

    ``max`` is 0 for unbounded. ``choice`` is true for "value[x]": in JSON it is ``valueQuantity``, ``valueString`` ...
    ``value_set`` names the required binding. ``invariants`` are keys in Definitions.constraints.
    """

    name: str
    min: int
    max: int
    types: tuple[TypeRef, ...]
    choice: bool = False
    value_set: str = ""
    invariants: tuple[str, ...] = ()
    summary: bool = False
    modifier: bool = False

    def json_names(self) -> dict[str, TypeRef]:
        """The property names that this element has in JSON, each with its type.
        https://hl7.org/fhir/R4/formats.html#choice"""
        if not self.choice:
            return {self.name: self.types[0]}
        return {self.name + ref.code[0].upper() + ref.code[1:]: ref for ref in self.types}


class TypeDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A resource type, datatype, primitive or backbone. https://hl7.org/fhir/R4/structuredefinition.html

    ``kind`` is "resource", "complex", "primitive" or "backbone". ``elements`` includes the inherited ones.
    """

    name: str
    kind: str
    base: str
    elements: dict[str, Element]
    invariants: tuple[str, ...] = ()
    abstract: bool = False


class Constraint(msgspec.Struct, frozen=True):
    """An invariant. https://hl7.org/fhir/R4/conformance-rules.html#constraints"""

    key: str
    severity: str
    expression: str


class Component(msgspec.Struct, frozen=True):
    """One part of a composite search parameter: its definition's URL and its expression under the composite's."""

    definition: str
    expression: str


class SearchParameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A standard search parameter, as defined for one or more bases. https://hl7.org/fhir/R4/searchparameter.html"""

    url: str
    code: str
    type: str
    bases: tuple[str, ...]
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()


class Definitions(msgspec.Struct, frozen=True):
    """Everything in the pack.

    ``type_ids`` numbers the resource types for the store; numbers never change. ``value_sets`` maps a required value
    set to {system: [codes]}; a value set that is not enumerable (MIME types, languages, UCUM) maps to {}.
    ``compartments`` maps
    a compartment's resource type to {resource type: search parameter codes}. ``patient_path`` maps a resource type to
    the code of the one search parameter that names its patient, where its element can hold one at most. ``date_param``
    maps a type to the code of its clinical date.
    """

    version: str
    types: dict[str, TypeDefinition]
    type_ids: dict[str, int]
    constraints: dict[str, Constraint]
    value_sets: dict[str, dict[str, tuple[str, ...]]]
    search_parameters: tuple[SearchParameter, ...]
    compartments: dict[str, dict[str, tuple[str, ...]]]
    patient_path: dict[str, str]
    date_param: dict[str, str]

    @property
    def resource_types(self) -> tuple[str, ...]:
        """The concrete resource types, in the order of their names. https://hl7.org/fhir/R4/resourcelist.html"""
        return tuple(self.type_ids)


@lru_cache(maxsize=1)
def load() -> Definitions:
    """Read the pack once for the life of the process."""
    return msgspec.json.decode(gzip.decompress(PACK.read_bytes()), type=Definitions)
