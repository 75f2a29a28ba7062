"""The parameters of an operation that takes each once, by their names. https://hl7.org/fhir/R4/operations.html#request"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fhir_server.errors import BadRequest
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.r4 import instants
from fhir_server.search.suggest import shown


def named(operation: str, known: Collection[str], pairs: Sequence[tuple[str, str]], body: object) -> dict[str, str]:
    """What was given; ``operation`` is the name with its "$". Raises BadRequest for what it does not take once."""
    given: dict[str, str] = {}
    for name, value in pairs_of(operation, pairs, body):
        if name not in known or name in given:
            names = ", ".join(known) if known else "none"
            raise BadRequest(f"{operation} has the parameters {names}, once each; not {shown(name)} as well.")
        given[name] = value
    return given


def required(operation: str, given: dict[str, str], name: str, least: int, most: int) -> str:
    """A text that must be there, of so many characters without the spaces around it. Raises BadRequest."""
    text = given.get(name, "").strip()
    if len(text) < least or len(text) > most or "\0" in text:
        raise BadRequest(f"{operation} needs the parameter {name}: a text of {least} to {most} characters.")
    return text


def interval(given: dict[str, str], name: str) -> tuple[int, int] | None:
    """A date or dateTime as [low, high); None where it was not given. Raises BadRequest."""
    if name not in given:
        return None
    try:
        return instants.interval(given[name])
    except ValueError as error:
        raise BadRequest(f"{name} must be a date: {error}.") from None
