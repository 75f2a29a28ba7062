"""The fields of each type, from the definitions. https://hl7.org/fhir/R4/graphql.html#schema"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from fhir_server.r4 import definitions
from fhir_server.search import support
from fhir_server.search.registry import Parameter, Registry
from fhir_server.search.suggest import nearest

QUERY = "Query"
"""The root of a query on the whole system."""

_CONNECTED = re.compile(r"([A-Z][A-Za-z]+?)(List|Connection)?")
_CONNECTION = {"count": "Int", "offset": "Int", "pagesize": "Int", "first": "ID", "previous": "ID", "next": "ID",
               "last": "ID"}  # fmt: skip
_META: dict[str, dict[str, tuple[str, bool]]] = {
    "__Schema": {
        "description": ("String", False), "types": ("__Type", True), "queryType": ("__Type", False),
        "mutationType": ("__Type", False), "subscriptionType": ("__Type", False), "directives": ("__Directive", True),
    },
    "__Type": {
        "kind": ("String", False), "name": ("String", False), "description": ("String", False),
        "specifiedByURL": ("String", False), "fields": ("__Field", True), "interfaces": ("__Type", True),
        "possibleTypes": ("__Type", True), "enumValues": ("__EnumValue", True), "inputFields": ("__InputValue", True),
        "ofType": ("__Type", False),
    },
    "__Field": {
        "name": ("String", False), "description": ("String", False), "args": ("__InputValue", True),
        "type": ("__Type", False), "isDeprecated": ("Boolean", False), "deprecationReason": ("String", False),
    },
    "__InputValue": {
        "name": ("String", False), "description": ("String", False), "type": ("__Type", False),
        "defaultValue": ("String", False), "isDeprecated": ("Boolean", False), "deprecationReason": ("String", False),
    },
    "__EnumValue": {
        "name": ("String", False), "description": ("String", False), "isDeprecated": ("Boolean", False),
        "deprecationReason": ("String", False),
    },
    "__Directive": {
        "name": ("String", False), "description": ("String", False), "locations": ("String", True),
        "args": ("__InputValue", True), "isRepeatable": ("Boolean", False),
    },
}  # fmt: skip
"""https://spec.graphql.org/October2021/#sec-Schema-Introspection.Schema-Introspection-Schema"""

_RESULTS = ("_count", "_sort")
_EDGE = {"mode": "code", "score": "decimal"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a type: ``kind`` says where its value comes from.

    "primitive" and "object" are properties of the JSON; "typename" is ``__typename``, "meta" the schema; "id" reads one
    resource of the ``type``; "reference" what a Reference leads to; "list" and "connection" are searches on the
    ``type``. That is a type of the definitions, or "PatientConnection", "PatientEdge"; "Resource" is decided by the
    value itself.
    """

    name: str
    kind: str
    type: str
    repeats: bool = False


@cache
def graphql_name(type_name: str) -> str:
    """A type's name in GraphQL: ``Patient.contact`` is PatientContact."""
    return "".join(part[0].upper() + part[1:] for part in type_name.split(".")) if "." in type_name else type_name


@cache
def names_of(type_name: str) -> frozenset[str]:
    """The names by which a fragment may speak of a type: its own, and those of the types that it is derived from."""
    found = {graphql_name(type_name)}
    kind = definitions.load().types.get(type_name)
    while kind is not None and kind.base:
        found.add(kind.base)
        kind = definitions.load().types.get(kind.base)
    return frozenset(found)


@cache
def is_resource(type_name: str) -> bool:
    """Whether it is a concrete resource type."""
    return type_name in definitions.load().type_ids


def field(type_name: str, name: str) -> Field | None:
    """The field of this name, or None."""
    if name == "__typename":
        return Field(name, "typename", "String")
    if name in ("__schema", "__type") and (type_name == QUERY or is_resource(type_name)):
        return Field(name, "meta", "__Schema" if name == "__schema" else "__Type")
    found = elements(type_name).get(name)
    if found is not None or not (type_name == QUERY or is_resource(type_name)):
        return found
    matched = _CONNECTED.fullmatch(name)
    if matched is None or not is_resource(matched[1]):
        return None
    if matched[2]:
        connection = matched[2] == "Connection"
        kind, of = ("connection", name) if connection else ("list", matched[1])
        return Field(name, kind, of, repeats=not connection)
    return Field(name, "id", name) if type_name == QUERY else None


def searched_type(name: str) -> str:
    """The resource type that a field such as PatientList or PatientConnection searches."""
    return name.removesuffix("List").removesuffix("Connection")


@cache
def elements(type_name: str) -> dict[str, Field]:
    """The fields that are properties of a type's JSON, and ``resource`` of a Reference, by name."""
    if type_name == QUERY:
        return {}
    if type_name in _META:
        return {
            name: Field(name, "object" if kind in _META else "primitive", kind, repeats)
            for name, (kind, repeats) in _META[type_name].items()
        }
    pack = definitions.load()
    if type_name not in pack.types:
        return _paged(type_name)
    found: dict[str, Field] = {}
    kind = pack.types[type_name]
    if kind.kind == "resource":
        found["resourceType"] = Field("resourceType", "primitive", "code")
    for element in kind.elements.values():
        repeats = element.max != 1
        for name, ref in element.json_names().items():
            primitive = ref.code in pack.types and pack.types[ref.code].kind == "primitive"
            if primitive or ref.code not in pack.types:
                found[name] = Field(name, "primitive", ref.code, repeats)
                found["_" + name] = Field("_" + name, "object", "Element", repeats)
            else:
                found[name] = Field(name, "object", ref.code, repeats)
    if type_name == "Reference":
        found["resource"] = Field("resource", "reference", "Resource")
    return found


def _paged(type_name: str) -> dict[str, Field]:
    if type_name.endswith("Connection"):
        found = {name: Field(name, "primitive", kind) for name, kind in _CONNECTION.items()}
        return found | {"edges": Field("edges", "object", f"{searched_type(type_name)}Edge", repeats=True)}
    if type_name.endswith("Edge"):
        found = {name: Field(name, "primitive", kind) for name, kind in _EDGE.items()}
        return found | {"resource": Field("resource", "object", type_name.removesuffix("Edge"))}
    raise KeyError(type_name)


def references_back(known: Mapping[str, Parameter], type_name: str) -> dict[str, str]:
    """Which of a type's search parameters are references that may lead to a type: their names in GraphQL, and codes."""
    types = definitions.load().type_ids
    return {
        parameter.code.replace("-", "_"): parameter.code
        for parameter in known.values()
        if parameter.type == "reference"
        and (type_name in parameter.targets or not any(target in types for target in parameter.targets))
    }


@lru_cache(maxsize=4096)
def parameter_name(registry: Registry, resource_type: str, argument: str) -> str | None:
    """The search parameter, with its modifier, that an argument stands for; None where there is none.

    GraphQL has no "-" and ":" in names: ``address_city`` is address-city, ``name_exact`` is name:exact.
    """
    codes = {
        parameter.code.replace("-", "_"): parameter.code for parameter in support.searchable(resource_type, registry)
    }
    if argument in codes:
        return codes[argument]
    if argument in _RESULTS:
        return argument
    code, _, modifier = argument.rpartition("_")
    return f"{codes[code]}:{modifier}" if code in codes and modifier else None


def did_you_mean(type_name: str, name: str) -> str:
    """The end of a message that a field is not known."""
    hint = nearest(name, elements(type_name) if type_name != QUERY else definitions.load().type_ids)
    return f"; did you mean {' or '.join(hint)}?" if hint else "."
