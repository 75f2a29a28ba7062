"""Key sets by URL: what is kept how long, and how often it is asked for. https://www.rfc-editor.org/rfc/rfc9111"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from joserfc import jwk

from fhir_server.authn.key_sets import KeySets
from fhir_server.authn.outbound import Answer, OutboundError
from fhir_server.authn.public_keys import NoKey
from tests.unit.authn.https_servers import Authority, Names, answering, outbound, serving

ONE, TWO = (jwk.ECKey.generate_key("P-384", {"kid": kid}).as_dict(private=False) for kid in ("1", "2"))
URL = "https://client.example/jwks"


class Elsewhere:
    """The client's server, as this test wants it, and a clock."""

    def __init__(self, *keys: dict[str, object]) -> None:
        self.asked: list[str] = []
        self.now = 1000.0
        self.headers = {"content-type": "application/json"}
        self.status = 200
        self.failing = False
        self.meeting: threading.Barrier | None = None
        self.body = b""
        self.publish(*keys)
        self.sets = KeySets(self, clock=lambda: self.now, remembered=3)

    def publish(self, *keys: dict[str, object]) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    def fetch(self, url: str, *, accept: str) -> Answer:
        self.asked.append(url)
        if self.meeting is not None:
            self.meeting.wait()
        if self.failing:
            raise OutboundError("address", "inner network")
        return Answer(self.status, self.headers, self.body)

    def knows(self, kid: str, url: str = URL) -> bool:
        try:
            return self.sets.key(url, kid, "ES384").as_dict()["x"] in (ONE["x"], TWO["x"])
        except NoKey:
            return False


def test_a_set_is_fetched_once_and_kept() -> None:
    there = Elsewhere(ONE, TWO)
    assert there.knows("1")
    assert there.knows("2")
    assert there.asked == [URL]


@pytest.mark.parametrize(
    ("control", "kept"),
    [
        (None, 300),
        ("max-age=0", 300),
        ("max-age=600", 600),
        ('public, MAX-AGE="1200"', 1200),
        ("max-age=99999999", 3600),
        ("no-store, max-age=1800", 300),
        ("no-cache", 300),
        ("s-maxage=3000", 300),
        ("max-age=soon", 300),
    ],
)
def test_cache_control_says_how_long_within_limits(control: str | None, kept: int) -> None:
    there = Elsewhere(ONE)
    if control is not None:
        there.headers["cache-control"] = control
    assert there.knows("1")
    there.publish(TWO)
    there.now += kept - 1
    assert there.knows("1")
    there.now += 1
    assert not there.knows("1")
    assert len(there.asked) == 2


def test_a_new_key_is_found_at_once_and_unknown_ones_are_looked_for_once_a_minute() -> None:
    there = Elsewhere(ONE)
    assert there.knows("1")
    there.publish(ONE, TWO)
    assert not there.knows("2")  # It was fetched this minute.
    there.now += 60
    assert there.knows("2")
    for _ in range(100):
        assert not there.knows("3")
    assert len(there.asked) == 2
    there.now += 60
    for _ in range(100):
        assert not there.knows("3")
    assert len(there.asked) == 3


def test_a_failure_is_remembered_for_half_a_minute_and_says_nothing_of_the_network() -> None:
    there = Elsewhere(ONE)
    there.failing = True
    for _ in range(10):
        with pytest.raises(NoKey) as caught:
            there.sets.key(URL, "1", "ES384")
        assert str(caught.value) == "The key set's URL could not be fetched."
    assert len(there.asked) == 1
    there.failing = False
    there.now += 29
    assert not there.knows("1")
    there.now += 1
    assert there.knows("1")
    assert len(there.asked) == 2


def test_a_failure_ends_what_was_known_when_its_time_is_over_and_not_before() -> None:
    there = Elsewhere(ONE)
    assert there.knows("1")
    there.failing = True
    there.now += 120
    assert not there.knows("2")
    assert there.knows("1")
    there.now += 179
    assert there.knows("1")
    there.now += 1
    assert not there.knows("1")


@pytest.mark.parametrize(
    ("status", "kind", "body", "why"),
    [
        (404, "application/json", b'{"keys": []}', "200"),
        (302, "application/json", b"", "200"),
        (200, "text/html", b'{"keys": []}', "application/json"),
        (200, "", b'{"keys": []}', "application/json"),
        (200, "application/json", b"<html>", "JSON"),
        (200, "application/json", b"\xff", "JSON"),
        (200, "application/json", b"[" * 100_000, "JSON"),
        (200, "application/json; charset=utf-8", b"[]", "JWK Set"),
        (200, "application/jwk-set+json", b'{"keys": []}', "no ES384 key"),
    ],
)
def test_answers_that_are_no_key_set_are_told(status: int, kind: str, body: bytes, why: str) -> None:
    there = Elsewhere()
    there.status, there.headers, there.body = status, {"content-type": kind}, body
    with pytest.raises(NoKey, match=why):
        there.sets.key(URL, "1", "ES384")


def test_threads_that_ask_for_one_set_share_its_fetch_and_others_do_not_wait() -> None:
    there = Elsewhere(ONE)
    # Both fetches are under way at the same time, or this breaks.
    there.meeting = threading.Barrier(2, timeout=5)
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(there.knows, ["1"] * 8 + ["1"] * 8, [URL] * 8 + [URL + "2"] * 8))
    assert sorted(there.asked) == [URL, URL + "2"]


def test_the_set_that_was_not_used_longest_is_forgotten() -> None:
    there = Elsewhere(ONE)
    for name in ("a", "b", "c", "a", "d", "a", "c"):
        assert there.knows("1", name)
    assert there.asked == ["a", "b", "c", "d"]
    assert there.knows("1", "b")
    assert there.asked[4:] == ["b"]


def test_a_set_is_fetched_over_real_sockets(authority: Authority) -> None:
    published = json.dumps({"keys": [ONE]}).encode()
    with serving(answering(published), authority.certified("client.example")) as served:
        names = Names(client_example=["127.0.0.1"], inner_example=["10.0.0.1"])
        sets = KeySets(outbound(authority, names))
        assert sets.key(f"https://client.example:{served.port}/jwks", "1", "ES384").as_dict()["x"] == ONE["x"]
        with pytest.raises(NoKey, match="could not be fetched"):
            sets.key("https://inner.example/jwks", "1", "ES384")
    assert served.requests[0][2]["accept"].startswith("application/jwk-set+json")
