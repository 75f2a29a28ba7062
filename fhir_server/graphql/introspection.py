"""The schema as a query can ask for it: types that are made when they are asked for.

https://spec.graphql.org/October2021/#sec-Introspection. Objects are dicts; what leads on without end is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from fhir_server.graphql import schema
from fhir_server.graphql.schema import Field
from fhir_server.r4 import definitions
from fhir_server.search import support
from fhir_server.search.registry import parameters

Meta = dict[str, Any]

_SCALARS = ("Int", "Float", "String", "Boolean", "ID")
_DIRECTIVES: dict[str, tuple[tuple[str, str], ...]] = {
    "skip": (("if", "Boolean"),),
    "include": (("if", "Boolean"),),
    "first": (),
    "singleton": (),
    "flatten": (),
    "slice": (("fhirpath", "String"),),
}


def schema_of(root: str) -> Meta:
    """``__schema``: ``root`` is the type that the query is asked of, Query or a resource type."""
    return {
        "queryType": lambda: type_of(root),
        "mutationType": None,
        "subscriptionType": None,
        "types": lambda: [found for name in _type_names() if (found := type_of(name)) is not None],
        "directives": [
            {
                "name": name,
                "locations": ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"] if "if" in dict(given) else ["FIELD"],
                "args": [_argument(*one) for one in given],
                "isRepeatable": False,
            }
            for name, given in _DIRECTIVES.items()
        ],
    }


def type_of(name: str) -> Meta | None:
    """``__type(name: )``; None where there is no such type."""
    known = _definition_names()
    if name in _SCALARS or (name in known and definitions.load().types[known[name]].kind == "primitive"):
        return _type("SCALAR", name)
    if name == "Resource":
        return _type("UNION", name, possibleTypes=lambda: [type_of(one) for one in definitions.load().resource_types])
    own = known.get(name, name)
    if name == schema.QUERY or name in known or _is_page(name):
        return _type("OBJECT", name, fields=lambda: list(_fields(own)), interfaces=[])
    return None


def _type(kind: str, name: str | None, **more: Any) -> Meta:
    return {"kind": kind, "name": name} | more


def _is_page(name: str) -> bool:
    return any(name.endswith(end) and schema.is_resource(name.removesuffix(end)) for end in ("Connection", "Edge"))


@cache
def _definition_names() -> dict[str, str]:
    """The names of the definitions' types in GraphQL, each with its own; Resource is none of them."""
    return {
        schema.graphql_name(name): name
        for name, kind in definitions.load().types.items()
        if not (kind.kind == "resource" and kind.abstract)
    }


def _type_names() -> Iterator[str]:
    yield from (schema.QUERY, "Resource", *_SCALARS, *_definition_names())
    for name in definitions.load().resource_types:
        yield f"{name}Connection"
        yield f"{name}Edge"


def _fields(type_name: str) -> Iterator[Meta]:
    for found in schema.elements(type_name).values():
        yield _field(found, partial(_element_arguments, found))
    if type_name == schema.QUERY:
        for name in definitions.load().resource_types:
            yield _field(Field(name, "id", name), lambda: [_argument("id", "ID", needed=True)])
            yield from _searches(name, ())
    elif schema.is_resource(type_name):
        for name in definitions.load().resource_types:
            back = schema.references_back(parameters(name), type_name)
            if back:
                yield from _searches(name, (("_reference", "code", True),))


def _searches(name: str, more: tuple[tuple[str, str, bool], ...]) -> Iterator[Meta]:
    def arguments(cursor: bool) -> Callable[[], list[Meta]]:
        paged = (("_cursor", "ID", False),) if cursor else ()
        codes = [(p.code.replace("-", "_"), "String", False) for p in support.searchable(name)]
        named = [*more, ("_count", "Int", False), ("_sort", "String", False), *paged, *codes]
        return lambda: [_argument(one, kind, needed=needed) for one, kind, needed in named]

    for end in ("List", "Connection"):
        found = schema.field(schema.QUERY, name + end)
        if found is not None:
            yield _field(found, arguments(end == "Connection"))


def _field(found: Field, arguments: Callable[[], list[Meta]]) -> Meta:
    named = lambda: type_of(schema.graphql_name(found.type))  # noqa: E731
    kind: Any = (lambda: _type("LIST", None, ofType=named)) if found.repeats else named
    return {"name": found.name, "args": arguments, "type": kind, "isDeprecated": False}


def _element_arguments(found: Field) -> list[Meta]:
    if found.kind == "reference":
        return [_argument("optional", "Boolean"), _argument("type", "code")]
    if not found.repeats:
        return []
    inner = schema.elements(found.type).values() if found.kind == "object" and found.type != "Resource" else ()
    values = [_argument(one.name, one.type) for one in inner if one.kind == "primitive" and not one.repeats]
    paged = [_argument("_offset", "Int"), _argument("_count", "Int"), _argument("fhirpath", "String")]
    return [*paged, *values]


def _argument(name: str, kind: str, needed: bool = False) -> Meta:
    named = lambda: type_of(kind)  # noqa: E731
    found: Any = (lambda: _type("NON_NULL", None, ofType=named)) if needed else named
    return {"name": name, "type": found, "defaultValue": None, "isDeprecated": False}
