"""The parameters of an operation, from the URL or from a Parameters resource, as pairs of texts.

https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fhir_server.errors import BadRequest
from fhir_server.search.suggest import shown

PRESENTATION = ("_format", "_pretty")
"""What any request may carry: rest/negotiate.py honours it."""


def pairs_of(operation: str, pairs: Sequence[tuple[str, str]], body: object) -> list[tuple[str, str]]:
    """The parameters of the URL, then those of the body, without those of presentation.

    ``operation`` is the name with its "$", for messages. Every value of the body becomes the text that it would be in a
    URL: a code, a date, a number; a Reference is its ``reference``, a Coding ``system|code``. Raises BadRequest for a
    body that is no Parameters resource, or a parameter without a value.
    """
    found = [(name, value) for name, value in pairs if name not in PRESENTATION]
    if body is None:
        return found
    parameters = body.get("parameter", []) if isinstance(body, dict) else None
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters" or not isinstance(parameters, list):
        raise BadRequest(f"The body of {operation} is a Parameters resource.", code="structure")
    for position, parameter in enumerate(parameters):
        place = f"Parameters.parameter[{position}]"
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            raise BadRequest("A parameter has a name.", code="structure", expression=place)
        values = [value for key, value in parameter.items() if key.startswith("value")]
        if len(values) != 1:
            raise BadRequest(f"The parameter {shown(parameter['name'])} must have one value.", expression=place)
        found.append((parameter["name"], _text(values[0], place)))
    return found


def _text(value: object, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return str(value)
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            return str(value["reference"])
        codings = value.get("coding")
        coding = codings[0] if isinstance(codings, list) and len(codings) == 1 else value
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            system = coding.get("system")
            return f"{system}|{coding['code']}" if isinstance(system, str) else coding["code"]
    raise BadRequest("The value is none that a parameter of this operation takes.", expression=place)
