"""https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

import pytest

from fhir_server.authn.limits import Limiter
from fhir_server.errors import TooManyRequests
from fhir_server.rest.throttle import Throttle


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_steady_rate() -> None:
    clock = Clock()
    throttle = Throttle(Limiter(clock=clock), rate=2)
    for _ in range(4):
        throttle.admit("clinic", "a")
    with pytest.raises(TooManyRequests, match=r"^This client sends more than 2 requests a second; wait 1 s") as refused:
        throttle.admit("clinic", "a")
    assert refused.value.headers == (("Retry-After", "1"),)
    throttle.admit("clinic", "b")
    throttle.admit("other", "a")
    clock.now = 0.5
    throttle.admit("clinic", "a")
    with pytest.raises(TooManyRequests):
        throttle.admit("clinic", "a")


def test_a_clinic_has_a_limit_for_all_its_clients() -> None:
    throttle = Throttle(Limiter(clock=Clock()), rate=0)
    for client_id in "abcdef":
        throttle.admit("clinic", client_id, 3)
    with pytest.raises(TooManyRequests, match=r"^All clients of this clinic together send more than 3 ") as refused:
        throttle.admit("clinic", "g", 3)
    assert refused.value.headers == (("Retry-After", "1"),)
    throttle.admit("other", "a", 3)
    throttle.admit("clinic", "a", 0)


def test_no_limit() -> None:
    throttle = Throttle(Limiter(clock=Clock()), rate=0)
    for _ in range(1000):
        throttle.admit("clinic", "a")
