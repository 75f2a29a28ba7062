"""Values that a search parameter has in a resource, as a search writes them. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from fhir_server.fhirpath.compiler import compile_expression
from fhir_server.search.registry import Parameter
from tests.attack.access.universe import Item

_CAST = re.compile(r"(?: as |\.as\()(\w+)\)?")
_RESOLVED = re.compile(r"\.where\(resolve\(\) is \w+\)")
Evaluate = Callable[[Any, dict[str, Any], dict[str, Any]], list[Any]]


def wanted(item: Item, parameter: Parameter) -> list[str]:
    """Some values that find the item by the parameter; none where it has none."""
    found = {
        "_id": [item.id],
        "_lastUpdated": ["gt2000"],
        "_text": [item.canary],
        "_content": [item.canary],
        "near": ["0|0|100000|km"],
    }.get(parameter.code)
    if found is not None:
        return found
    if parameter.type == "composite":
        return _composite(item, parameter)
    return _of_expression(item, parameter.type, parameter.expression, item.body, item.type, parameter.targets)


def _of_expression(
    item: Item, kind: str, expression: str, focus: Any, type_name: str, targets: tuple[str, ...] = ()
) -> list[str]:
    if not expression:
        return []
    texts: dict[str, None] = {}
    for value in _evaluator(expression, type_name)(focus, item.body, item.body):
        for text in _written(kind, value, targets):
            texts[text] = None
    # Those that nothing else has come first.
    return sorted(texts, key=lambda text: item.canary not in text)[:3]


@cache
def _evaluator(expression: str, type_name: str) -> Evaluate:
    """The parts of an expression that are about a type; whether a reference leads to a Patient is left open."""
    parts = [_RESOLVED.sub("", part).strip() for part in expression.split(" | ")]
    own = [part for part in parts if re.match(rf"\(*({type_name}|Resource|DomainResource)\b", part)] or parts
    evaluators = [compile_expression(_balanced(_CAST.sub(r".ofType(\1)", part)), type_name) for part in own]

    def evaluate(focus: Any, resource: dict[str, Any], root: dict[str, Any]) -> list[Any]:
        return [one for each in evaluators for one in each(focus, resource, root)]

    return evaluate


def _balanced(part: str) -> str:
    """A part of a union without the brackets that were around the union."""
    surplus = part.count("(") - part.count(")")
    return part[surplus:] if surplus > 0 else part[:surplus] if surplus < 0 else part


def _written(kind: str, value: Any, targets: tuple[str, ...]) -> Iterator[str]:
    match kind:
        case "string":
            yield from _texts(value)
        case "token":
            yield from _tokens(value)
        case "reference":
            text = value.get("reference", "") if isinstance(value, dict) else str(value)
            if text and not text.startswith("#") and (":" in text or not targets or text.partition("/")[0] in targets):
                yield text
        case "date":
            yield from _dates(value)
        case "number":
            if isinstance(value, dict):
                value = value.get("low", {}).get("value")
            if value is not None:
                yield str(value)
        case "quantity":
            number = value.get("value") if isinstance(value, dict) else None
            if number is not None:
                yield f"{number}"
        case "uri":
            yield str(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one[0] if isinstance(one, list) else one)


def _tokens(value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for coding in value.get("coding", ()):
            yield from _tokens(coding)
        code = value.get("code") or value.get("value")
        if isinstance(code, str):
            yield f"{value['system']}|{code}" if ":" in str(value.get("system", "")) else code


def _dates(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = value.get("start") or value.get("end") or next(iter(value.get("event", ())), None)
    if isinstance(value, str):
        yield value[:10]


def _composite(item: Item, parameter: Parameter) -> list[str]:
    from fhir_server.search.registry import by_url

    for focus in _evaluator(parameter.expression, item.type)(item.body, item.body, item.body):
        if focus is item.body or not isinstance(focus, dict):
            continue
        halves = []
        for component in parameter.components:
            kind = by_url()[component.definition].type
            simple = component.expression.replace(".as(", ".ofType(")
            found = _simple(kind, simple, focus, by_url()[component.definition].targets)
            halves.append(found)
        if all(halves):
            return ["$".join(halves)]
    return []


def _simple(kind: str, expression: str, focus: dict[str, Any], targets: tuple[str, ...]) -> str:
    """A value of one component: the first of the element, of whatever type it may have."""
    for part in expression.split(" | "):
        name = re.match(r"\w+", part.strip("("))
        if name is None:
            continue
        for key, value in focus.items():
            if key.startswith(name[0]):
                for one in value if isinstance(value, list) else [value]:
                    for text in _written(kind, one, targets):
                        return text
    return ""
