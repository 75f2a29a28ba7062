"""``is``, ``as`` and ``ofType``: which type specifier an item answers to. https://hl7.org/fhirpath/N1/#types"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.errors import Unsupported
from fhir_server.fhirpath.nodes import Item, Node, table
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.r4 import definitions

SYSTEM_OF = {
    "boolean": "Boolean",
    "string": "String",
    "uri": "String",
    "base64Binary": "String",
    "integer": "Integer",
    "decimal": "Decimal",
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
}
"""The System type of each FHIR primitive and of those derived from it. https://hl7.org/fhir/R4/fhirpath.html#types"""

SYSTEM_TYPES = frozenset((*SYSTEM_OF.values(), "Quantity", "Any"))


def _system_type(value: Item) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, Temporal):
        return {"date": "Date", "dateTime": "DateTime", "time": "Time"}[value.kind]
    names = {str: "String", int: "Integer", Decimal: "Decimal", Quantity: "Quantity"}
    return names[type(value)]


def type_test(specifier: ast.TypeName, *, invariant: bool = False) -> Callable[[Item], bool]:
    """A test for items of the type or one derived from it.

    A name without namespace is first a FHIR type, then a System type. R4's invariants write ``Boolean`` for the FHIR
    ``boolean`` (que-7), so in them a bare System name also takes the FHIR primitives that convert to it.
    Raises Unsupported for a name that is neither.
    """
    name, namespace = specifier.name, specifier.namespace
    fhir = namespace in ("", "FHIR") and name in definitions.load().types
    own = namespace in ("", "System") and name in SYSTEM_TYPES
    if not fhir and not own:
        raise Unsupported(f"{specifier} is no type of FHIR R4 or FHIRPath, at character {specifier.position + 1}")
    lenient = invariant and own and not fhir and not namespace

    def test(item: Item) -> bool:
        if isinstance(item, Node):
            supertypes = table(item.type).supertypes
            return (fhir and name in supertypes) or (lenient and any(SYSTEM_OF.get(s) == name for s in supertypes))
        return own and name in (_system_type(item), "Any")

    return test
