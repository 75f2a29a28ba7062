"""No caller keeps the others waiting, and nobody guesses for long: buckets of requests, refilled steadily.

With Redis all processes share them; without it, or while it fails, each holds callers to its own part of the limit.
https://en.wikipedia.org/wiki/Token_bucket
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fhir_server.store.redis_server import RedisServer

_MOST = 10_000
"""Buckets that a process remembers, the latest used. Whoever wants to push one out has to be admitted that often."""

_PREFIX = "fhir:limit:"

# All buckets are looked at before one is drawn from: who is refused has used nothing up. The clock is Redis's own.
_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local left, wait, which = {}, 0, 0
for i, key in ipairs(KEYS) do
    local rate, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local held = redis.call('HMGET', key, 'left', 'at')
    left[i] = tonumber(held[1]) or burst
    if held[2] then
        left[i] = math.min(burst, left[i] + math.max(0, now - tonumber(held[2])) * rate)
    end
    if left[i] < 1 and (1 - left[i]) / rate > wait then
        wait, which = (1 - left[i]) / rate, i
    end
end
if which > 0 then
    return {which, math.ceil(wait)}
end
for i, key in ipairs(KEYS) do
    local rate, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    redis.call('HSET', key, 'left', string.format('%.6f', left[i] - 1), 'at', string.format('%.6f', now))
    redis.call('PEXPIRE', key, math.ceil((burst - left[i] + 1) / rate * 1000) + 1000)
end
return {0, 0}
"""


class Limit(NamedTuple):
    """``rate`` requests a second in the long run for whatever ``key`` names, ``burst`` of them at once after a rest."""

    key: str
    rate: float
    burst: float


class Refused(NamedTuple):
    """The limit that was reached, and in how many seconds there is room again."""

    limit: Limit
    seconds: int


class Limiter:
    """The buckets of a server of ``processes`` web processes; safe to share between threads."""

    def __init__(
        self, redis: RedisServer | None = None, processes: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._script = redis.script(_SCRIPT) if redis is not None else None
        self._processes = processes
        self._clock = clock
        self._lock = threading.Lock()
        # key -> (left, at)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str, per_minute: int) -> int:
        """Take one of the ``per_minute`` requests of ``key`` (0 for no limit); how many seconds to wait, or 0."""
        refused = self.take([Limit(key, per_minute / 60, per_minute)]) if per_minute else None
        return refused.seconds if refused else 0

    def take(self, limits: Sequence[Limit]) -> Refused | None:
        """Take one request from each bucket, or none where one of them is empty: that one is the answer."""
        if not limits:
            return None
        found = self._shared(limits)
        if found is None:
            return self._own(limits)
        which, seconds = found
        return Refused(limits[which - 1], seconds) if which else None

    def _shared(self, limits: Sequence[Limit]) -> tuple[int, int] | None:
        """The number of the limit that was reached, from 1, and the seconds to wait; None where Redis is not there."""
        script = self._script
        if self._redis is None or script is None:
            return None
        keys = [_PREFIX + limit.key for limit in limits]
        arguments = [value for limit in limits for value in (limit.rate, max(limit.burst, 1.0))]
        return self._redis.run(lambda client: script(keys=keys, args=arguments, client=client))

    def _own(self, limits: Sequence[Limit]) -> Refused | None:
        """This process's part of each limit."""
        now = self._clock()
        refused: Refused | None = None
        left: list[float] = []
        with self._lock:
            for limit in limits:
                rate, burst = limit.rate / self._processes, max(limit.burst / self._processes, 1.0)
                held, at = self._buckets.get(limit.key, (burst, now))
                held = min(burst, held + (now - at) * rate)
                left.append(held)
                seconds = max(1, math.ceil((1 - held) / rate)) if held < 1 else 0
                if seconds and (refused is None or seconds > refused.seconds):
                    refused = Refused(limit, seconds)
            if refused is None:
                for limit, held in zip(limits, left, strict=True):
                    self._buckets[limit.key] = (held - 1, now)
                    self._buckets.move_to_end(limit.key)
                while len(self._buckets) > _MOST:
                    self._buckets.popitem(last=False)
        return refused
