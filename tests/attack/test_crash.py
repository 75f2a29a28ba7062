"""kill -9 again and again, each time at another moment; CRASH_RUNS sets how often. tests/functional/test_crash.py"""

from __future__ import annotations

import os

import pytest

from tests.functional import test_crash
from tests.functional.running import Running
from tests.functional.test_crash import served

__all__ = ["served"]


# The supervisor gives a part up that keeps dying, so that each run has a server of its own.
@pytest.mark.parametrize("run_number", range(int(os.environ.get("CRASH_RUNS", "6"))))
@pytest.mark.parametrize("what", ["web", "backend", "postmaster"])
def test_every_acknowledged_write_survives(served: tuple[Running, str], what: str, run_number: int) -> None:
    test_crash.test_every_acknowledged_write_survives(served, what)
