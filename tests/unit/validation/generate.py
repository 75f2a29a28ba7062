"""Random resources that follow the definitions, for laws of every type. https://hl7.org/fhir/R4/resourcelist.html

Invariants are not looked after: what comes out is well-formed, and breaks an invariant now and then.
"""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.validation import bindings, rules
from fhir_server.validation.rules import Property

VALUES: dict[str, list[Any]] = {
    "base64Binary": ["SGVsbG8=", "QUJD"],
    "boolean": [True, False],
    "canonical": ["http://example.org/fhir/ValueSet/x", "http://example.org/fhir/ValueSet/y|1.0"],
    "code": ["a", "b", "en", "1"],
    "date": ["2020", "2020-02", "2020-02-29", "2021-01-01"],
    "dateTime": ["2019", "2020-02", "2020-02-29", "2020-02-29T10:00:00Z", "2020-02-29T10:00:00.5+02:00"],
    "decimal": [1, 0, Decimal("1.50"), Decimal("-3.0"), 100],
    "id": ["a", "b.c-1"],
    "instant": ["2020-02-29T10:00:00Z", "2021-02-28T10:00:00.123+01:00"],
    "integer": [0, 1, -1, 2],
    "markdown": ["some *text*"],
    "oid": ["urn:oid:1.2.3"],
    "positiveInt": [1, 2],
    "string": ["1", "text", "*", "2"],
    "time": ["10:00:00"],
    "unsignedInt": [0, 1],
    "uri": ["http://unitsofmeasure.org", "http://example.org/x", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "url": ["http://example.org/x"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml"><p>text</p></div>'],
}
EXTENSION = {"url": "http://example.org/x", "valueString": "y"}
JUNK: list[Any] = [
    None, True, 0, -1, Decimal("1.0"), Decimal("1E+500"), 10**401, "", " ", "x", "a  b", "2021-02-30", "true", [], {},
    [None], [[]], [{}], {"id": "a"}, {"extension": [EXTENSION]}, [{"extension": [EXTENSION]}], {"extension": []}, "#x",
    "Patient/1", "<div/>", ["a"], {"coding": [{"system": "x", "code": "y"}]}, {"text": "z"}, {"reference": "#"},
    {"reference": "Foo/1"}, {"reference": "Patient/1", "type": "Group"}, {"url": "a"}, "\u0000", 1.5,
    {"resourceType": "Patient"},
]  # fmt: skip
NAMES = [
    "id", "extension", "modifierExtension", "text", "contained", "value", "valueString", "valueQuantity", "code",
    "status", "_status", "_id", "resourceType", "reference", "type", "", "_", "__x", "foo", "url", "_url", "start",
    "end", "_value", "item", "linkId", "name", "_given", "given",
]  # fmt: skip


def node(rng: random.Random, type_name: str, richness: float = 0.3, depth: int = 0) -> dict[str, Any]:
    """A random object of a type; ``richness`` is the chance of an optional element on top, less further down."""
    type_rules = rules.of(type_name)
    found: dict[str, Any] = {"resourceType": type_name} if type_rules.is_resource else {}
    for element in type_rules.definition.elements.values():
        if element.name in ("contained", "modifierExtension", "id") or (
            element.name == "text" and type_rules.is_resource
        ):
            continue
        is_extension = element.name == "extension"
        chance = 1 if element.min else 0.03 if is_extension else richness * 0.5**depth
        if rng.random() >= chance or (depth > 3 and not element.min):
            continue
        name = rng.choice(sorted(element.json_names()))
        prop = type_rules.properties[name]
        if type_name == "Extension" and is_extension:
            continue
        count = rng.choice((1, 1, 2)) if prop.repeats else 1
        values = [value(rng, prop, richness, depth) for _ in range(count)]
        found[name] = values if prop.repeats else values[0]
        if prop.predicate is not None and not prop.plain and not prop.repeats and rng.random() < 0.03:
            found["_" + name] = {"extension": [dict(EXTENSION)]}
            if rng.random() < 0.5:
                del found[name]
    if type_name == "Extension" and len(found) < 2:
        found["valueString"] = "y"
    if not found:
        found["extension"] = [dict(EXTENSION)]
    return found


def value(rng: random.Random, prop: Property, richness: float, depth: int) -> Any:
    """A random value of one property."""
    if prop.is_resource:
        return node(rng, rng.choice(("Basic", "Patient", "Composition", "MessageHeader")), 0.1, depth + 2)
    if prop.predicate is not None or prop.code == "xhtml":
        if prop.code == "code" and prop.element.value_set:
            codes = sorted(bindings.codes_of(prop.element.value_set))
            return rng.choice(codes) if codes else "text/plain"
        return rng.choice(VALUES[prop.code])
    if prop.code == "Reference":
        targets = prop.ref.targets or ("Patient", "Group")
        return {"reference": f"{rng.choice(targets)}/{rng.choice('ab')}"}
    if prop.bound:
        codings = sorted(bindings.codings_of(prop.bound))
        system, code = rng.choice(codings) if codings else ("http://example.org/x", "a")
        return {"coding": [{"system": system, "code": code}]}
    return node(rng, prop.code, richness, depth + 1)


def resource(rng: random.Random) -> dict[str, Any]:
    """A random resource of a random type."""
    return node(rng, rng.choice(definitions.load().resource_types), rng.choice((0.1, 0.3, 0.6)))


def mutated(rng: random.Random, original: dict[str, Any]) -> dict[str, Any]:
    """A copy with one to three mutilations: dropped, renamed, repeated, retyped or added properties."""
    copied = copy.deepcopy(original)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _mutate(rng, rng.choice(_containers(copied)))
    return copied


def _containers(tree: Any) -> list[Any]:
    found, waiting = [], [tree]
    while waiting:
        item = waiting.pop()
        found.append(item)
        waiting.extend(x for x in (item.values() if isinstance(item, dict) else item) if isinstance(x, (dict, list)))
    return found


def _mutate(rng: random.Random, container: Any) -> None:
    if not container:
        return
    junk = copy.deepcopy(rng.choice(JUNK))
    choice = rng.randrange(8)
    if isinstance(container, list):
        position = rng.randrange(len(container))
        if choice < 2:
            del container[position]
        elif choice < 4:
            container.insert(position, copy.deepcopy(container[position]))
        elif choice < 6:
            container[position] = junk
        else:
            container.insert(position, junk)
        return
    name = rng.choice(sorted(container))
    match choice:
        case 0:
            del container[name]
        case 1:
            container[rng.choice(NAMES)] = copy.deepcopy(container[name])
        case 2:
            container[name] = junk
        case 3:
            container["_" + name] = junk
        case 4:
            container[name] = [container[name]]
        case 5:
            container[rng.choice(NAMES)] = junk
        case 6:
            del container[name]
            container["_" + name] = {"extension": [dict(EXTENSION)]}
        case _:
            container[name[:-1]] = container.pop(name)
