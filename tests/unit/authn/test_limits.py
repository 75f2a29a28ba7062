"""https://en.wikipedia.org/wiki/Token_bucket, in one process and shared between several"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis as redis_client

from fhir_server import logs
from fhir_server.authn.limits import Limit, Limiter
from fhir_server.store import redis_server
from fhir_server.store.redis_server import RedisServer
from tests.redis_process import RedisProcess


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was logged meanwhile."""
    names: list[str] = []
    monkeypatch.setattr(logs, "event", lambda name, **_: names.append(name))
    return names


def admitted(limiter: Limiter, *limits: Limit, of: int = 50) -> int:
    """How many of so many requests at once go on."""
    return sum(limiter.take(limits) is None for _ in range(of))


def test_a_burst_then_a_steady_rate() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock)
    limit = Limit("a", rate=2, burst=3)
    assert admitted(limiter, limit) == 3
    refused = limiter.take([limit])
    assert refused is not None
    assert refused == (limit, 1)
    clock.now = 0.5
    assert admitted(limiter, limit) == 1
    clock.now = 100
    assert admitted(limiter, limit) == 3
    assert admitted(limiter, Limit("b", rate=2, burst=3)) == 3


def test_so_many_a_minute() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock)
    assert [limiter.allow("a", 2) for _ in range(3)] == [0, 0, 30]
    clock.now = 29
    assert limiter.allow("a", 2) == 1
    clock.now = 30
    assert [limiter.allow("a", 2) for _ in range(2)] == [0, 30]
    assert [limiter.allow("b", 0) for _ in range(100)] == [0] * 100


def test_who_is_refused_uses_nothing_up() -> None:
    limiter = Limiter(clock=Clock())
    clinic, greedy, modest = Limit("clinic", 1, 10), Limit("greedy", 0.1, 4), Limit("modest", 1, 10)
    assert admitted(limiter, clinic, greedy) == 4
    assert limiter.take([clinic, greedy]) == (greedy, 10)
    assert admitted(limiter, clinic, modest) == 6
    assert limiter.take([clinic, modest]) == (clinic, 1)


def test_each_of_several_processes_has_its_part() -> None:
    clock = Clock()
    limiters = [Limiter(None, 4, clock) for _ in range(4)]
    limit = Limit("a", rate=4, burst=8)
    assert [admitted(one, limit) for one in limiters] == [2] * 4
    clock.now = 1
    assert [admitted(one, limit) for one in limiters] == [1] * 4


def test_the_latest_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.authn.limits._MOST", 3)
    limiter = Limiter(clock=Clock())
    for key in "abcbbd":
        limiter.allow(key, 5)
    assert len(limiter._buckets) == 3
    assert [limiter.allow("b", 5) for _ in range(3)] == [0, 0, 12]


def test_processes_share_what_redis_holds(redis: RedisProcess) -> None:
    limiters = [Limiter(RedisServer(redis.url), 2) for _ in range(2)]
    clinic, client = Limit("clinic", rate=0.01, burst=12), Limit("clinic a", rate=0.1, burst=9)
    together = [0, 0]
    for number in range(30):
        together[number % 2] += limiters[number % 2].take([clinic, client]) is None
    assert together == [5, 4]
    refused = limiters[0].take([clinic, client])
    assert refused is not None
    assert refused.limit == client
    assert refused.seconds in (9, 10)
    assert admitted(limiters[1], clinic, Limit("clinic b", rate=0.1, burst=9)) == 3
    assert all(not one._buckets for one in limiters)


def test_a_shared_bucket_fills_again_and_is_forgotten_when_it_is_full(redis: RedisProcess) -> None:
    limiter = Limiter(RedisServer(redis.url))
    limit = Limit("a", rate=20, burst=2)
    assert admitted(limiter, limit, of=3) == 2
    time.sleep(0.06)
    assert admitted(limiter, limit, of=1) == 1
    with redis_client.Redis.from_url(redis.url) as client:
        assert 0 < client.pttl("fhir:limit:a") <= 1_200


def test_two_limits_are_one_round_trip(redis: RedisProcess) -> None:
    limiter = Limiter(RedisServer(redis.url))
    admitted(limiter, Limit("a", 1, 100), Limit("b", 1, 100), of=1)
    with redis_client.Redis.from_url(redis.url) as client:
        client.config_resetstat()
        admitted(limiter, Limit("a", 1, 100), Limit("b", 1, 100), of=10)
        calls = client.info("commandstats")
    asked = {
        name: calls[name]["calls"] for name in calls if name.split("_")[1].lower() in ("evalsha", "eval", "script|load")
    }
    assert asked == {"cmdstat_evalsha": 10}


@pytest.mark.parametrize("shared", [False, True])
def test_no_request_is_let_through_twice_by_threads_at_once(redis: RedisProcess, shared: bool) -> None:
    limiter = Limiter(RedisServer(redis.url) if shared else None)
    limit = Limit("a", rate=0.001, burst=40)
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: admitted(limiter, limit, of=20), range(4))) == 40


def test_without_redis_the_process_goes_on_limiting(redis: RedisProcess, told: list[str]) -> None:
    clock = Clock()
    limiter = Limiter(RedisServer(redis.url, clock), 2, clock)
    limit = Limit("a", rate=0.02, burst=10)
    assert admitted(limiter, limit, of=3) == 3
    redis.stop()
    assert admitted(limiter, limit) == 5
    clock.now = redis_server.TOLD_SECONDS - 1
    assert admitted(limiter, limit) == 0
    assert told == ["redis unavailable"]
    clock.now = redis_server.TOLD_SECONDS + 1
    assert admitted(limiter, limit) == 0
    assert told == ["redis unavailable"] * 2
    redis.start()
    clock.now += redis_server.REST_SECONDS
    assert admitted(limiter, limit) == 10


def test_a_redis_that_does_not_answer_costs_a_moment_once(redis: RedisProcess, told: list[str]) -> None:
    limiter = Limiter(RedisServer(redis.url))
    assert limiter.allow("a", 5) == 0
    with redis.silent():
        begun = time.monotonic()
        assert [limiter.allow("a", 5) for _ in range(6)] == [0] * 5 + [12]
        assert time.monotonic() - begun < 4 * redis_server.TIMEOUT_SECONDS
    assert told == ["redis unavailable"]
