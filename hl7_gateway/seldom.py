"""What happens over and over is logged now and then: senders must not fill the log. docs/hl7.md, "Feeds" """

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

SECONDS: Final = 10.0
"""Between two lines of the log about the same."""

_MOST: Final = 1_000
"""How many are told apart; who sends from more addresses than that has the log to themselves now and then."""


class Seldom:
    """Counts what happens, and tells when it is to be logged. Of one event loop or thread."""

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._told: dict[Hashable, tuple[float, int]] = {}

    def times(self, key: Hashable) -> int:
        """How often it happened since it was logged last, this time included; 0 where it is not to be logged now."""
        now = self._clock()
        due, count = self._told.get(key, (now, 0))
        if now < due:
            self._told[key] = due, count + 1
            return 0
        if key not in self._told and len(self._told) >= _MOST:
            self._told.clear()
        self._told[key] = now + self._seconds, 0
        return count + 1
