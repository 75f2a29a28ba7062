"""What narrows a scope: the search parameters of ``patient/Observation.rs?category=laboratory``.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
"""

from __future__ import annotations

from functools import cache
from urllib.parse import parse_qsl

from fhir_server.access.conditions import HasAny
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions, references
from fhir_server.search import token_variants
from fhir_server.search.paths import paths
from fhir_server.search.registry import Parameter, parameters
from fhir_server.search.values import split, unescape

TYPES = ("token", "reference", "uri")
"""The kinds of parameters that may narrow a scope: a row is known to have such a value or not."""


def parse(resource_type: str, query: str) -> list[tuple[Parameter, list[str]]]:
    """The parameters of a constraint with the alternatives of each; all of them are to hold.

    Raises BadRequest that says what a constraint may be.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise BadRequest("A scope's constraint is a query, such as category=laboratory.") from None
    known = parameters(resource_type)
    found = []
    for name, value in pairs:
        parameter = known.get(name)
        if (
            parameter is None
            or parameter.type not in TYPES
            or (name.startswith("_") and name not in ("_security", "_tag"))
        ):
            raise BadRequest(
                f"A scope on {resource_type} can be narrowed by its token, reference and uri parameters, without "
                f"modifiers; {name[:60]!r} is none of them."
            )
        alternatives = [one for one in split(value, ",") if one]
        if not alternatives:
            raise BadRequest(f"The constraint {name[:60]} has no value.")
        found.append((parameter, alternatives))
    return found


class Resolver:
    """Reads constraints as the index holds their values; one for each Hasher, so that decisions can be remembered."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher

    def __call__(self, resource_type: str, query: str) -> tuple[HasAny, ...] | None:
        """The conditions of a constraint; None for one that cannot be honoured, which grants nothing."""
        if resource_type not in definitions.load().type_ids:
            return None
        try:
            return tuple(self._one(parameter, values) for parameter, values in parse(resource_type, query))
        except (BadRequest, ValueError):
            return None

    def _one(self, parameter: Parameter, values: list[str]) -> HasAny:
        if parameter.type == "reference":
            return HasAny(targets=tuple((parameter.param, self._target(parameter, value)) for value in values))
        if parameter.type == "uri":
            return HasAny(tuple(self._hasher(f"{parameter.param}:u:{unescape(value)}") for value in values))
        among = paths(parameter.expression, parameter.resource_type)
        variants = [variant for value in values for variant in token_variants.searched(value, among)]
        return HasAny(tuple(self._hasher(f"{parameter.param}:{variant}") for variant in variants))

    def _target(self, parameter: Parameter, value: str) -> int:
        text = unescape(value)
        if references.ID.fullmatch(text) and len(parameter.targets) == 1:
            text = f"{parameter.targets[0]}/{text}"
        if references.parse(text).kind != "relative":
            raise ValueError("a reference in a constraint is Type/id")
        return self._hasher.uncached(text)


@cache
def resolver(hasher: Hasher) -> Resolver:
    """The one Resolver of a Hasher."""
    return Resolver(hasher)
