"""Which tenants there are, remembered for a few seconds. docs/architecture.md, "Rows" """

from __future__ import annotations

import time
from collections.abc import Callable

from fhir_server.store.directory import Entry

REMEMBERED_SECONDS = 30.0
_MOST = 10_000


class Directory:
    """Finds a tenant's entry, its number and limits, by its slug.

    ``look_up`` asks the database. A tenant that exists is remembered for half a minute; one that does not is asked
    for anew each time, so that a new tenant answers at once.
    """

    def __init__(self, look_up: Callable[[str], Entry | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: dict[str, tuple[Entry, float]] = {}

    def find(self, slug: str) -> Entry | None:
        """The tenant's entry in the store, or None. Raises Unavailable if the database cannot be asked."""
        known = self._known.get(slug)
        now = self._clock()
        if known is not None and known[1] > now:
            return known[0]
        found = self._look_up(slug)
        if found is None:
            self._known.pop(slug, None)
            return None
        if len(self._known) >= _MOST:
            self._known = {}
        self._known[slug] = (found, now + REMEMBERED_SECONDS)
        return found

    def knows(self, slug: str) -> bool:
        """Whether this is the slug of a tenant that was found before, without asking the database."""
        return slug in self._known
