"""Requests that wait for their bodies, and those that run meanwhile."""

from __future__ import annotations

import threading

import pytest

from fhir_server.errors import Unavailable
from fhir_server.rest.uploads import WAITING, Uploads


class Slow:
    """A body that arrives when ``arrive`` is set."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.arrive = threading.Event()

    def read(self, size: int, /) -> bytes:
        self.asked.set()
        assert self.arrive.wait(10)
        return b"x" * size


class Ready:
    """A body that is there."""

    def read(self, size: int, /) -> bytes:
        return b"y" * size


def test_whoever_waits_for_a_body_lets_others_run() -> None:
    uploads, slow, read = Uploads(1, 1000), Slow(), []

    def wait() -> None:
        with uploads.run():
            read.append(uploads.read(slow, 5))

    thread = threading.Thread(target=wait)
    thread.start()
    assert slow.asked.wait(10)
    for _ in range(3):
        with uploads.run():
            assert uploads.read(Ready(), 3) == b"yyy"
    slow.arrive.set()
    thread.join(10)
    assert read == [b"xxxxx"]


@pytest.mark.parametrize("places", ["requests", "bytes"])
def test_too_many_are_told_to_come_again_and_the_places_come_back(places: str) -> None:
    count, size = (WAITING, 1) if places == "requests" else (16, 1000)
    uploads, slow = Uploads(2, 1000), [Slow() for _ in range(count)]

    def wait(body: Slow) -> None:
        with uploads.run():
            uploads.read(body, size)

    threads = [threading.Thread(target=wait, args=[body]) for body in slow]
    for thread in threads:
        thread.start()
    assert all(body.asked.wait(10) for body in slow)
    with uploads.run(), pytest.raises(Unavailable):
        uploads.read(Ready(), 1)
    for body in slow:
        body.arrive.set()
    for thread in threads:
        thread.join(10)
    for _ in range(3):
        with uploads.run():
            assert uploads.read(Ready(), 1000) == b"y" * 1000


def test_a_body_that_cannot_be_read_gives_its_place_back() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise OSError

    uploads = Uploads(1, 1000)
    for _ in range(WAITING + 20):
        with uploads.run(), pytest.raises(OSError):
            uploads.read(Broken(), 1000)
    with uploads.run():
        assert uploads.read(Ready(), 1) == b"y"


def test_no_more_run_at_once_than_may() -> None:
    uploads, most, now, lock = Uploads(2, 1000), [0], [0], threading.Lock()

    def work() -> None:
        with uploads.run():
            uploads.read(Ready(), 1)
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.01)
            with lock:
                now[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [2]
