"""Whose messages a worker looks at next. docs/decisions/0018-messages-in-order.md"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_PAUSES: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(slots=True)
class Turns:
    """Whose messages are to be looked at next: each clinic once, those that were told of first."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    due: dict[int, None] = field(default_factory=dict)

    def add(self, tenant_ids: Sequence[int]) -> None:
        """These are due."""
        with self.changed:
            self.due.update(dict.fromkeys(tenant_ids))
            self.changed.notify()

    def others(self, tenant_id: int) -> bool:
        """Whether another clinic is to be looked at."""
        with self.changed:
            return any(one != tenant_id for one in self.due)

    def next(self, seconds: float, patience: float) -> int | None:
        """The one that is due first, waited for so many seconds; ``patience`` is left to others after a wait."""
        with self.changed:
            waited = not self.due
            if waited:
                self.changed.wait(seconds)
        if waited and patience:
            time.sleep(patience)
        with self.changed:
            first = next(iter(self.due), None)
            if first is not None:
                del self.due[first]
            return first


@dataclass(slots=True)
class Rests:
    """Clinics whose last transaction has failed: each is left alone for a while, the longer the more often it did."""

    failures: dict[int, int] = field(default_factory=dict)
    until: dict[int, float] = field(default_factory=dict)

    def failed(self, tenant_id: int) -> None:
        """Leave a clinic alone for a while."""
        times = self.failures.get(tenant_id, 0)
        self.failures[tenant_id] = times + 1
        self.until[tenant_id] = time.monotonic() + _PAUSES[min(times, len(_PAUSES) - 1)]

    def went_well(self, tenant_id: int) -> None:
        """Its next failure is the first one again."""
        self.failures.pop(tenant_id, None)

    def rested(self) -> list[int]:
        """Those whose time has come."""
        if not self.until:
            return []
        at = time.monotonic()
        found = [tenant_id for tenant_id, until in self.until.items() if until <= at]
        for tenant_id in found:
            del self.until[tenant_id]
        return found

    def seconds(self, most: float) -> float:
        """Until the next one's time comes, ``most`` at most."""
        return max(0.0, min(most, min(self.until.values()) - time.monotonic())) if self.until else most
