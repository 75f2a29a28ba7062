"""The garbage collector stands still for large bundles, and goes on after the last of them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from fhir_server.interactions.bundle_memory import FEW, collection_paused


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    assert gc.isenabled()
    yield
    assert gc.isenabled()


def test_a_small_bundle_changes_nothing() -> None:
    with collection_paused(FEW):
        assert gc.isenabled()


def test_a_large_one_pauses_it_whatever_happens() -> None:
    def fail() -> None:
        with collection_paused(FEW + 1):
            assert not gc.isenabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_it_goes_on_after_the_last_of_several_threads() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with collection_paused(FEW + 1):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with collection_paused(FEW + 1):
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_where_it_never_ran_it_stays_off() -> None:
    gc.disable()
    try:
        with collection_paused(FEW + 1):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
