"""Many minutes of processes that are killed under load; `make soak` runs them. docs/soak.md"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory is marked."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("soak")
