"""The functions that FHIR adds: extension, resolve, memberOf, htmlChecks. https://hl7.org/fhir/R4/fhirpath.html#functions"""

from __future__ import annotations

import re

from fhir_server.fhirpath import ast, nodes
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.evaluation import Context, Step, string
from fhir_server.fhirpath.functions.registry import Call, function, plain
from fhir_server.fhirpath.nodes import Item, Node, Unfetched
from fhir_server.fhirpath.xhtml import is_safe_narrative
from fhir_server.r4 import definitions

_REFERENCE = re.compile(
    r"(?:.*/)?([A-Z][A-Za-z]{2,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z", re.ASCII
)


@plain("extension", 1)
def extension(items: list[Item], url: list[Item]) -> list[Item]:
    """The extensions with that URL, of primitives too."""
    wanted = string(url)
    return [
        node
        for node in nodes.member(items, "extension")
        if isinstance(node.value, dict) and wanted is not None and node.value.get("url") == wanted
    ]


@plain("htmlChecks")
def html_checks(items: list[Item]) -> list[Item]:
    """Whether the XHTML keeps to the elements and attributes that a narrative may have."""
    text = string(items)
    return [] if text is None else [is_safe_narrative(text)]


@function("conformsTo", 1)
def conforms_to(call: Call) -> Step:
    """Profiles are the validator's matter."""
    raise Unsupported("conformsTo() is not supported; validate against the profile instead")


@function("memberOf", 1)
def member_of(call: Call) -> Step:
    """Whether a code, Coding or CodeableConcept is in a value set that FHIR itself binds as required."""
    node = call.nodes[0]
    url = node.value if isinstance(node, ast.Literal) else None
    codes = definitions.load().value_sets.get(url) if isinstance(url, str) else None
    if not codes:
        raise Unsupported("memberOf() knows the enumerable required value sets of FHIR R4 only")
    source = call.source

    def contains(system: str | None, code: str | None) -> bool:
        if system is None:
            return any(code in members for members in codes.values())
        return code in codes.get(system, ())

    def run(focus: list[Item], context: Context) -> list[Item]:
        out: list[Item] = []
        for item in source(focus, context):
            value = item.value if isinstance(item, Node) else item
            if isinstance(value, dict):
                found = value.get("coding")
                codings = found if isinstance(found, list) else [value]
                out.append(any(contains(c.get("system"), c.get("code")) for c in codings if isinstance(c, dict)))
            else:
                out.append(isinstance(value, str) and contains(None, value))
        return out

    return run


@function("resolve")
def resolve(call: Call) -> Step:
    """The resources that references name: contained ones, entries of the same Bundle, else no more than their type.

    A reference whose type cannot be told gives nothing. https://hl7.org/fhir/R4/references.html
    """
    source = call.source

    def run(focus: list[Item], context: Context) -> list[Item]:
        out: list[Item] = []
        for item in source(focus, context):
            value = item.value if isinstance(item, Node) else item
            reference = value.get("reference") if isinstance(value, dict) else value
            if isinstance(reference, str):
                out += _target(reference, context)
            elif isinstance(value, dict) and _names_type(value.get("type")):
                out.append(Unfetched({}, value["type"]))
        return out

    return run


def _names_type(value: object) -> bool:
    """Reference.type is a text; what is no Reference may have anything there."""
    return isinstance(value, str) and value in definitions.load().type_ids


def _target(reference: str, context: Context) -> list[Item]:
    if reference == "#":
        return [context.root]
    if reference.startswith("#"):
        return [node for node in _index(context, "contained", "id") if node.value.get("id") == reference[1:]][:1]
    entries = _index(context, "entry", "fullUrl")
    for entry in entries:
        if entry.value.get("fullUrl") == reference:
            return nodes.member([entry], "resource")
    match = _REFERENCE.match(reference)
    return [Unfetched({}, match[1])] if match and match[1] in definitions.load().type_ids else []


def _index(context: Context, name: str, needed: str) -> list[Node]:
    key = ("resolve", name, id(context.root.value))
    found: list[Node] | None = context.memo.get(key)
    if found is None:
        try:
            found = [n for n in nodes.member([context.root], name) if isinstance(n.value, dict) and needed in n.value]
        except EvaluationError:
            found = []
        context.memo[key] = found
    return found
