"""The types of the values that a FHIRPath expression yields, told from its text. https://hl7.org/fhirpath/N1/

The value of a search parameter is indexed by its type, so that an expression whose text does not tell it is refused.
"""

from __future__ import annotations

from decimal import Decimal

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.nodes import table
from fhir_server.fhirpath.static_types import Types, static_types
from fhir_server.r4 import definitions

_BY_FUNCTION = {
    "boolean": (
        "all", "allFalse", "allTrue", "anyFalse", "anyTrue", "contains", "convertsToBoolean", "convertsToDate",
        "convertsToDateTime", "convertsToDecimal", "convertsToInteger", "convertsToQuantity", "convertsToString",
        "convertsToTime", "empty", "endsWith", "exists", "hasValue", "isDistinct", "matches", "not", "startsWith",
        "subsetOf", "supersetOf", "toBoolean",
    ),
    "integer": ("count", "indexOf", "length", "toInteger"),
    "decimal": ("exp", "ln", "log", "power", "sqrt", "toDecimal"),
    "string": ("join", "lower", "replace", "replaceMatches", "substring", "toChars", "toString", "trim", "upper"),
    "date": ("toDate",),
    "dateTime": ("toDateTime",),
    "Quantity": ("toQuantity",),
}  # fmt: skip
"""FHIR's names for the System types that functions yield. https://hl7.org/fhir/R4/fhirpath.html#types"""

_OF_FUNCTION = {function: name for name, functions in _BY_FUNCTION.items() for function in functions}
_SAME = frozenset(
    ("where", "first", "last", "tail", "skip", "take", "single", "distinct", "intersect", "exclude", "trace")
)
_BOTH = frozenset(("union", "combine"))
_TRUTH = frozenset(
    ("and", "or", "xor", "implies", "=", "!=", "~", "!~", "<", "<=", ">", ">=", "in", "contains", "is")
)  # fmt: skip
_LITERALS = {bool: "boolean", str: "string", int: "integer", Decimal: "decimal"}
UNSTABLE = frozenset(("now", "today", "timeOfDay"))
"""Functions whose value is another one at the time of the search than it was when the resource was indexed."""


def result_types(node: ast.Node, root: str) -> frozenset[str]:
    """The names of the types of an expression's values, evaluated on a ``root``.

    Raises ValueError that names the place: for an element that does not exist, for a value that changes with the clock,
    and where the text does not tell the type.
    """
    for one in node.walk():
        if isinstance(one, ast.Function) and one.name in UNSTABLE:
            raise ValueError(
                f"{one.name}() changes with the clock, so it cannot be indexed, at character {one.position + 1}"
            )
    context = frozenset((root,))
    static_types(node, context)
    found = _types(node, context)
    if not found:
        raise ValueError(
            f"The types of the values of {node} cannot be told from its text; say it with ofType(), "
            f"at character {node.position + 1}"
        )
    return found


def _types(node: ast.Node, context: Types) -> Types:
    match node:
        case ast.Literal():
            return frozenset((_LITERALS[type(node.value)],))
        case ast.DateTimeLiteral(kind=kind):
            return frozenset((kind,)) if kind in ("date", "dateTime") else None
        case ast.QuantityLiteral():
            return frozenset(("Quantity",))
        case ast.TypeOperation(operator="is"):
            return frozenset(("boolean",))
        case ast.TypeOperation(operand=operand, type=wanted):
            return _narrowed(_types(operand, context), wanted)
        case ast.Operator(operator="|"):
            return _together(_types(node.left, context), _types(node.right, context))
        case ast.Operator(operator="&"):
            return frozenset(("string",))
        case ast.Operator(operator=operator) if operator in _TRUTH:
            return frozenset(("boolean",))
        case ast.Indexer(source=source):
            return _types(source, context)
        case ast.Function():
            return _of_function(node, context)
    return static_types(node, context)


def _of_function(node: ast.Function, context: Types) -> Types:
    known = _OF_FUNCTION.get(node.name)
    if known is not None:
        return frozenset((known,))
    source = context if node.source is None else _types(node.source, context)
    if node.name in ("as", "ofType") and len(node.arguments) == 1 and isinstance(node.arguments[0], ast.TypeName):
        return _narrowed(source, node.arguments[0])
    if node.name in _SAME:
        return source
    if node.name in _BOTH and node.arguments:
        return _together(source, _types(node.arguments[0], context))
    if node.name == "iif" and len(node.arguments) == 3:
        return _together(_types(node.arguments[1], context), _types(node.arguments[2], context))
    if node.name == "select" and node.arguments:
        return _types(node.arguments[0], source if FUNCTIONS["select"].loops else context)
    return static_types(node, context)


def _narrowed(source: Types, wanted: ast.TypeName) -> Types:
    """The type that ofType() or ``as`` leaves. Raises ValueError where there is no such type, or none of the source."""
    known = definitions.load().types
    if wanted.name not in known:
        raise ValueError(f"{wanted} is no type of FHIR R4, at character {wanted.position + 1}")
    if source and not any(known[one].abstract for one in source):
        if not any(wanted.name in table(one).supertypes for one in source):
            shown = ", ".join(sorted(source)[:5])
            raise ValueError(f"There is no {wanted} among {shown}, at character {wanted.position + 1}")
        return frozenset(one for one in source if wanted.name in table(one).supertypes)
    return frozenset((wanted.name,))


def _together(left: Types, right: Types) -> Types:
    return left | right if left and right else None
