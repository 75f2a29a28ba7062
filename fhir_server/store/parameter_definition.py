"""A search parameter as a SearchParameter resource defines it, for the store. docs/search-parameters.md"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """What a SearchParameter defines. https://hl7.org/fhir/R4/searchparameter.html

    ``types`` are the resource types that it is for; ``components`` pairs of definition and expression.
    """

    code: str
    type: str
    url: str
    expression: str
    types: tuple[str, ...]
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
