"""Which tenants are known to have consents: the others' searches need not look at them row by row. docs/access.md"""

from __future__ import annotations

import time
from collections.abc import Callable

REMEMBERED_SECONDS = 60.0


class ConsentsKnown:
    """Remembers for a minute that a tenant has consents; safe to share between threads.

    That a tenant has none is never remembered: each search that takes it so has PostgreSQL check it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[int, float] = {}

    def known(self, tenant_id: int) -> bool:
        """Whether the tenant had consents within the last minute."""
        return self._until.get(tenant_id, 0.0) > self._clock()

    def note(self, tenant_id: int) -> None:
        """Remember that the tenant has consents."""
        self._until[tenant_id] = self._clock() + REMEMBERED_SECONDS
