"""What an operation declares of itself. https://hl7.org/fhir/R4/operationdefinition.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_server.interactions.context import Context, Response

Run = Callable[[Context, Sequence[str], list[tuple[str, str]], object], Response]
"""(context, [] or [type] or [type, id], query parameters, JSON body or None) -> Response"""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: ``name`` without "$", the canonical URL of its ``definition``, the ``levels`` it exists at."""

    name: str
    definition: str
    levels: tuple[str, ...]
    run: Run
