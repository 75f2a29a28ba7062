"""How much looking up the codes of one search may cost. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from fhir_server.errors import BadRequest

MAX_CODES = 10_000
"""The most codes that one parameter of a search may stand for."""

MAX_STEPS = 2_000_000
"""The most concepts, properties and relationships looked at: some five seconds, 350,000 concepts in a hierarchy."""

MAX_DOCUMENTS = 100
"""The most ValueSets and CodeSystems looked up."""

MAX_BYTES = 64 * 1024 * 1024
"""The most bytes of them."""

MAX_DEPTH = 16
"""How far value sets may import each other."""


class Budget:
    """Counts what has been done for one search, and stops it where that is too much.

    Every method raises BadRequest (too-costly) once a limit is passed.
    """

    __slots__ = ("_bytes", "_documents", "_steps")

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._documents = MAX_DOCUMENTS
        self._bytes = MAX_BYTES

    def spend(self, steps: int) -> None:
        """Count concepts or relationships looked at."""
        self._steps -= steps
        if self._steps < 0:
            raise _too_costly("takes too many steps to evaluate")

    def look_up(self) -> None:
        """Count one ValueSet or CodeSystem asked for, known or not."""
        self._documents -= 1
        if self._documents < 0:
            raise _too_costly(f"needs more than {MAX_DOCUMENTS} ValueSets and CodeSystems")

    def read(self, size: int) -> None:
        """Count one document of ``size`` bytes."""
        self._bytes -= size
        if self._bytes < 0:
            raise _too_costly(f"needs more than {MAX_BYTES // 1024 // 1024} MB of ValueSets and CodeSystems")


def check_count(codes: int, name: str) -> None:
    """Raise BadRequest (too-costly) for more codes than a search may stand for. ``name`` is what has them."""
    if codes > MAX_CODES:
        raise BadRequest(
            f"{name} stands for {codes} codes; a search takes up to {MAX_CODES}. Search by a narrower one.",
            code="too-costly",
        )


def _too_costly(what: str) -> BadRequest:
    return BadRequest(f"Looking up the codes of this search {what}. Search by a smaller value set.", code="too-costly")
