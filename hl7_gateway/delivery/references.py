"""Values of a draft as they are stored: names of other drafts become references, those to nothing are left out. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hl7_gateway.conversion.draft import DRAFT, Said, Stated, Warned
from hl7_gateway.delivery.elements import required_in, type_at, type_within
from hl7_gateway.problems import Place

NOTHING: Final = object()
"""What is left of a value that refers to what is not there."""

_MOST_DIGITS: Final = 400
"""Digits of a number that is written out; one with more is left as it came, to be refused by validation."""


@dataclass(slots=True)
class References:
    """Resolves the references of one message.

    ``path_of`` tells "Type/id" of a draft by its name, "" where there is none. ``warnings`` tell what is left out.
    """

    path_of: Callable[[str], str]
    warnings: list[Warned]

    def resolved(self, resource_type: str, stated: Stated) -> Stated | None:
        """The statement with its references resolved; itself where it has none.

        A Reference to what is not there is left out, with every object that is not valid without it. None where nothing
        is left of what was stated.
        """
        values: list[Said] = []
        same = True
        for said in stated.values:
            if type(said.value) is str or _as_it_is(said.value):
                values.append(said)
                continue
            where = f"{resource_type}.{stated.path}"
            value = self._value(said.value, type_at(resource_type, stated.path), where, said)
            same = same and value is said.value
            if value is not NOTHING:
                values.append(said if value is said.value else Said(value, said.places))
        if same:
            return stated
        return Stated(stated.path, stated.slot, tuple(values), stated.initial) if values else None

    def _value(self, value: Any, type_name: str, where: str, said: Said) -> Any:
        if type(value) is dict:
            return self._object(value, type_name, where, said)
        if type(value) is list:
            found = [self._value(one, type_name, where, said) for one in value]
            if all(new is old for new, old in zip(found, value, strict=True)):
                return value
            return [one for one in found if one is not NOTHING] or NOTHING
        return _plain(value) if type(value) is Decimal else value

    def _object(self, value: Mapping[str, Any], type_name: str, where: str, said: Said) -> Any:
        reference = value.get("reference")
        if type(reference) is str and reference.startswith(DRAFT):
            path = self.path_of(reference.removeprefix(DRAFT))
            if not path:
                self._warn(said, f"{where} refers to what is not there.")
                return NOTHING
            return {**value, "reference": path}
        made: dict[str, Any] | None = None
        for name, old in value.items():
            if type(old) is str or type(old) is bool:
                continue
            new = self._value(old, type_within(type_name, name), f"{where}.{name}", said)
            if new is old:
                continue
            made = dict(value) if made is None else made
            if new is not NOTHING:
                made[name] = new
                continue
            del made[name]
            if type_name == "Extension" or required_in(type_name, name):
                self._warn(said, f"{where} is left out: {name} is required in it.")
                return NOTHING
        return value if made is None else made or NOTHING

    def _warn(self, said: Said, text: str) -> None:
        place = said.places.get("")
        self.warnings.append(Warned(place if place is not None else Place("MSH"), text))


def _as_it_is(value: Any) -> bool:
    """Whether a value has neither a reference to a draft nor a decimal in it: most have none, and need no types."""
    if type(value) is dict:
        reference = value.get("reference")
        if type(reference) is str and reference.startswith(DRAFT):
            return False
        value = value.values()
    elif type(value) is not list:
        return type(value) is not Decimal
    for one in value:
        kind = type(one)
        if kind is not str and kind is not bool and not _as_it_is(one):
            return False
    return True


def _plain(number: Decimal) -> Decimal:
    """A number without an exponent, as the store gives it back; else it would seem to have changed."""
    exponent = number.as_tuple().exponent
    if type(exponent) is int and 0 < exponent <= _MOST_DIGITS:
        return Decimal(format(number, "f"))
    return number
