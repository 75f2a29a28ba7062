"""What the command hands to its worker processes and what it gets back. docs/architecture.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fhir_server.errors import FhirError, Issue
from fhir_server.r4 import definitions


@dataclass(frozen=True, slots=True)
class Settled:
    """How a worker reaches the database and on whose behalf; everything that is the same for each piece of work.

    ``limit`` is the length in bytes of the longest line or document. ``again`` loads what was loaded before too.
    ``full_text`` as in Store.
    """

    app_url: str
    tenant_id: int
    tenant: str
    base_url: str
    limit: int
    again: bool
    full_text: bool = True


@dataclass(frozen=True, slots=True)
class LoadFile:
    """Load a file that holds one document, if it does; ``only`` these entries of its Bundle, None: all."""

    path: Path
    only: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class LoadLines:
    """Load lines of an NDJSON file. ``first`` is the number of the first, from 1; None: a line that was too long.

    ``digest`` stands for these lines and all before them in their file. ``only``: lines by their position in
    ``lines``; None: all.
    """

    path: Path
    first: int
    lines: Sequence[bytes | None]
    digest: bytes
    only: frozenset[int] | None = None


Work = LoadFile | LoadLines


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: ``line`` counts from 1, ``entry`` from 0 as in FHIRPath; None where not in one."""

    path: Path
    line: int | None = None
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be loaded and why. ``resource_type`` is "" where it is not known.

    ``position`` is the line's position in LoadLines, or the entry's in its Bundle.
    """

    place: Place
    position: int
    resource_type: str
    issues: tuple[Issue, ...]

    @classmethod
    def of(cls, place: Place, position: int, resource: object, error: FhirError) -> Failure:
        """What an error says about a resource."""
        named = resource.get("resourceType") if isinstance(resource, dict) else None
        known = named if isinstance(named, str) and named in definitions.load().type_ids else ""
        return cls(place, position, known, error.issues)


@dataclass(slots=True)
class Outcome:
    """What became of a piece of work.

    ``loaded`` counts the resources written, ``skipped`` those that an earlier load had written. ``waiting`` are
    failures that may not be, once other files are loaded: a conditional reference matches nothing yet. ``is_ndjson``:
    nothing was done, since the file is to be taken line by line. ``stopped``: why nothing more can be done, or "".
    """

    loaded: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    waiting: list[Failure] = field(default_factory=list)
    is_ndjson: bool = False
    stopped: str = ""

    def add(self, other: Outcome) -> None:
        """Add what became of another part of the same work."""
        self.loaded += other.loaded
        self.skipped += other.skipped
        self.failures += other.failures
        self.waiting += other.waiting
