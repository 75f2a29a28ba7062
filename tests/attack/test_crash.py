"""kill -9 again and again; CRASH_ROUNDS sets how often. The test is that of tests/functional/test_crash.py."""

from __future__ import annotations

import os

import pytest

from tests.functional.test_crash import served, test_every_acknowledged_write_survives

__all__ = ["served", "test_every_acknowledged_write_survives"]


@pytest.fixture(autouse=True)
def many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than `make test` has time for."""
    rounds = int(os.environ.get("CRASH_ROUNDS", "20"))
    monkeypatch.setitem(test_every_acknowledged_write_survives.__globals__, "ROUNDS", rounds)
