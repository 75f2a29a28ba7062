"""What an operation declares of itself. https://hl7.org/fhir/R4/operationdefinition.html"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fhir_server.interactions.context import Context, Response

Run = Callable[[Context, Sequence[str], list[tuple[str, str]], object], Response]
"""(context, [] or [type] or [type, id], query parameters, JSON body or None) -> Response"""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: ``name`` without "$", the canonical URL of its ``definition``, the ``levels`` it exists at.

    ``types`` maps the resource types that have it to the definitions for them; empty where every type has it.
    ``needs`` are interactions, one of which the caller must be able to do to use it; () for an operation of everybody.
    ``whole`` says that it is refused for types that the caller sees in part. ``changes`` says that it affects the
    server's state: then a GET, which others may repeat, does not reach it.
    """

    name: str
    definition: str
    levels: tuple[str, ...]
    run: Run
    types: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False
    needs: tuple[str, ...] = ()
    whole: bool = False

    def definition_for(self, resource_type: str) -> str | None:
        """The canonical URL of its definition for this resource type; None where the type does not have it."""
        if "type" not in self.levels and "instance" not in self.levels:
            return None
        return self.types.get(resource_type) if self.types else self.definition
