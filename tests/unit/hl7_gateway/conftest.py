"""What holds for every test of the gateway's own code. https://docs.python.org/3/library/gc.html"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Tests that bound their own CPU time do not pay for the garbage of those before them."""
    gc.disable()
    yield
    gc.enable()
