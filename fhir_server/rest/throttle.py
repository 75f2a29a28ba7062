"""No client keeps the others waiting: a bucket of requests for each, refilled steadily.
https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from fhir_server.errors import TooManyRequests

_MOST_CLIENTS = 10_000


class Throttle:
    """A token bucket for each client (https://en.wikipedia.org/wiki/Token_bucket), in this process.

    ``rate`` is in requests per second, 0 for no limit; a client that was quiet may send ``burst`` at once.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._clock = clock
        self._lock = threading.Lock()
        # client -> (tokens, at)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, client: str) -> None:
        """Take one request out of the client's bucket. Raises TooManyRequests with Retry-After when it is empty."""
        if self._rate <= 0:
            return
        now = self._clock()
        with self._lock:
            tokens, at = self._buckets.pop(client, (self._burst, now))
            tokens = min(self._burst, tokens + (now - at) * self._rate)
            admitted = tokens >= 1
            self._buckets[client] = (tokens - 1 if admitted else tokens, now)
            if len(self._buckets) > _MOST_CLIENTS:
                self._buckets.popitem(last=False)
        if not admitted:
            wait = max(1, math.ceil((1 - tokens) / self._rate))
            raise TooManyRequests(
                f"This client sends more than {self._rate:g} requests a second; wait {wait} s and go on more slowly.",
                headers=[("Retry-After", str(wait))],
            )
