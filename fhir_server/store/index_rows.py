"""What the search index holds of one resource, as the extractors produce it and the store writes it.
docs/architecture.md, "Rows" """

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_server.access.consents import Rule
from fhir_server.errors import TooLarge

MAX_ROWS = 500_000
"""The most index rows of one resource: some seconds of PostgreSQL's time. SNOMED CT in one CodeSystem has fewer."""


@dataclass(slots=True)
class Words:
    """What full-text search finds a resource by. docs/decisions/0010-full-text.md

    ``rows`` maps (hash of a word or of a phrase, place) to the weight there, 0 for a phrase. ``phrases`` maps the hash
    of each of those phrases to the hash and the weight of its words.
    """

    rows: dict[tuple[int, int], int] = field(default_factory=dict)
    phrases: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)


@dataclass(slots=True)
class IndexRows:
    """The index rows of one resource; see the tables in docs/architecture.md.

    Times are microseconds since 1970 UTC, intervals are [low, high); hashes are signed 64-bit, params signed 32-bit.
    No list holds the same row twice. ``words`` is None where full text is switched off. ``care`` and ``consents`` are
    what the resource says of who cares for whom, and the rules of a patient's consent: None for the types that say none
    of it. A patient None in ``care`` is the resource itself. docs/care.md
    """

    params: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    references: list[tuple[int, int]] = field(default_factory=list)  # (param, target)
    strings: list[tuple[int, str, int]] = field(default_factory=list)  # (param, value, exact)
    dates: list[tuple[int, int, int]] = field(default_factory=list)  # (param, low, high)
    quantities: list[tuple[int, float, float, int]] = field(default_factory=list)  # (param, low, high, unit)
    composites: list[tuple[int, float, float, str]] = field(default_factory=list)  # (hash, low, high, value)
    patient: int | None = None
    date_low: int | None = None
    date_high: int | None = None
    unevaluated: list[str] = field(default_factory=list)  # expressions of own parameters that failed here
    generation: int = 0  # of the tenant's own parameters: store/search_parameters.py
    words: Words | None = None
    care: list[tuple[int, int | None, int, int, int]] | None = None  # (person, patient, kind, low, high)
    consents: list[tuple[int, Rule]] | None = None  # (patient, rule)

    def make_room(self, more: int = 0) -> None:
        """Raise TooLarge if the resource had more than MAX_ROWS rows with ``more`` of them.

        Composites multiply their components' values: a small resource can ask for any number.
        """
        count = len(self.tokens) + len(self.references) + len(self.strings)
        count += len(self.dates) + len(self.quantities) + len(self.composites)
        if self.words is not None:
            count += len(self.words.rows)
        if count + more > MAX_ROWS:
            raise TooLarge(
                f"The resource has more than {MAX_ROWS} values to be found by; split it into several.",
                code="too-costly",
            )
