"""What issues say: what is wrong and what would be right, in our own words. https://hl7.org/fhir/R4/operationoutcome.html"""

from __future__ import annotations

import difflib
from decimal import Decimal
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element
from fhir_server.validation import bindings, references
from fhir_server.validation.invariant_words import NAME_RULE, WORDS
from fhir_server.validation.primitives import EXPECTED
from fhir_server.validation.references import shown
from fhir_server.validation.rules import Property, TypeRules

__all__ = ["shown"]

_LONGEST_GUESSED = 64
_MOST_CODES = 12
_MOST_SYSTEM_CODES = 6


def json_type(value: Any) -> str:
    """The JSON type of a value, with its article."""
    names = {"object": "an object", "array": "an array", "string": "a string", "number": "a number"}
    return names.get(json_kind(value), json_kind(value))


def json_kind(value: Any) -> str:
    """The JSON type of a value. https://www.rfc-editor.org/rfc/rfc8259#section-3"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, Decimal, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def nearest(name: str, known: list[str]) -> list[str]:
    """Up to three known names that a person may have meant."""
    if len(name) > _LONGEST_GUESSED:
        return []
    lowered = {candidate.lower(): candidate for candidate in known}
    return [lowered[match] for match in difflib.get_close_matches(name.lower(), list(lowered), 3, 0.6)]


def _did_you_mean(name: str, known: list[str]) -> str:
    found = nearest(name, known)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def unknown_type(named: Any) -> str:
    """An absent or unknown resourceType."""
    if named is None:
        return "resourceType is missing: the name of the resource type, as 'Patient'"
    if not isinstance(named, str):
        return f"resourceType is a string, not {json_type(named)}"
    return (
        f"{shown(named)} is not a resource type of FHIR R4{_did_you_mean(named, sorted(references.resource_types()))}"
    )


def unknown_element(name: str, type_rules: TypeRules) -> str:
    """A property that the type does not have."""
    if name.startswith("_") and name[1:] in type_rules.properties:
        return f"{shown(name)} is not allowed: only primitives other than ids can have extensions"
    for element in type_rules.choices:
        if name == element.name or name == element.name + "[x]":
            names = references.listed(element.json_names())
            return f"{element.name} is a choice of types: write one of {names}"
    for element in type_rules.choices:
        if name.startswith(element.name) and name[len(element.name) : len(element.name) + 1].isupper():
            names = references.listed(element.json_names())
            return f"{shown(name)} is not one of the types of {element.name}[x], which are {names}"
    known = sorted(type_rules.properties)
    guess = _did_you_mean(name, known)
    return f"{type_rules.name} has no element {shown(name)}{guess or '; it has ' + references.listed(known, 12)}"


def wrong_json(prop: Property, value: Any) -> str:
    """A primitive of the wrong JSON type."""
    if value is None:
        return f"{prop.name} must not be null; leave it out, or say why it is absent by an extension in _{prop.name}"
    return f"{prop.name} is {EXPECTED[prop.code]}; this is {json_type(value)}"


def bad_value(prop: Property, value: Any, type_rules: TypeRules) -> str:
    """A primitive with the right JSON type but the wrong format. Values are quoted for short texts only."""
    expected = EXPECTED["id"] if prop.element.name == "id" and type_rules.is_resource else EXPECTED[prop.code]
    if prop.element.name == "id" and not type_rules.is_resource:
        expected = "text without spaces"
    given = shown(value) if isinstance(value, str) else "this number"
    return (
        f"{given} is not {'a correct ' + prop.code if prop.element.name != 'id' else 'a correct id'}: write {expected}"
    )


def bad_code(value: str, value_set: str) -> str:
    """A code outside a required value set."""
    codes = bindings.codes_of(value_set)
    if not codes:
        return f"{shown(value)} is not a MIME type, as 'application/pdf'"
    close = nearest(value, sorted(codes)) if len(codes) > _MOST_CODES else []
    listed = " or ".join(close) if close else references.listed(codes, _MOST_CODES)
    return f"{shown(value)} is not a code of {value_set}; allowed: {listed}"


def bad_concept(concept: dict[str, Any], value_set: str) -> str:
    """A CodeableConcept without a coding from its required value set."""
    systems = definitions.load().value_sets[value_set]
    allowed = "; ".join(
        f"{system}: {references.listed(codes, _MOST_SYSTEM_CODES)}" for system, codes in systems.items()
    )
    given = "none of the codings is" if concept.get("coding") else "there must be a coding"
    return f"{given} from {value_set}; allowed: {allowed}"


def missing(element: Element, type_rules: TypeRules) -> str:
    """A required element that is not there."""
    if element.choice:
        return f"{element.name}[x] is required: one of {references.listed(element.json_names())}"
    codes = bindings.codes_of(element.value_set) if element.value_set else frozenset()
    choice = f", one of {references.listed(codes, _MOST_CODES)}" if codes else ""
    return f"{type_rules.name}.{element.name} is required ({element.types[0].code}{choice})"


def invariant(key: str) -> str:
    """An invariant that does not hold: its key, our words where we have them, and the expression."""
    constraint = definitions.load().constraints[key]
    said = WORDS.get(key, NAME_RULE if constraint.expression.startswith("name.matches(") else "")
    return (
        f"{constraint.key}: {said} ({constraint.expression})" if said else f"{constraint.key}: {constraint.expression}"
    )
