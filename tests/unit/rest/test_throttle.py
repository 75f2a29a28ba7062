"""https://en.wikipedia.org/wiki/Token_bucket"""

from __future__ import annotations

import pytest

from fhir_server.errors import TooManyRequests
from fhir_server.rest.throttle import Throttle


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_steady_rate() -> None:
    clock = Clock()
    throttle = Throttle(rate=2, burst=3, clock=clock)
    for _ in range(3):
        throttle.admit("a")
    with pytest.raises(TooManyRequests) as refused:
        throttle.admit("a")
    assert refused.value.headers == (("Retry-After", "1"),)
    throttle.admit("b")
    clock.now = 0.5
    throttle.admit("a")
    with pytest.raises(TooManyRequests):
        throttle.admit("a")
    clock.now = 100
    for _ in range(3):
        throttle.admit("a")
    with pytest.raises(TooManyRequests):
        throttle.admit("a")


def test_no_limit() -> None:
    throttle = Throttle(rate=0, burst=0, clock=Clock())
    for _ in range(1000):
        throttle.admit("a")


def test_the_wait_is_as_long_as_the_rate_is_slow() -> None:
    throttle = Throttle(rate=0.1, burst=1, clock=Clock())
    throttle.admit("a")
    with pytest.raises(TooManyRequests) as refused:
        throttle.admit("a")
    assert refused.value.headers == (("Retry-After", "10"),)
