"""The long versions of tests/functional/test_hostile.py and test_concurrency.py; `make attack` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional.conftest import access_token, api, app, live, new_api, settings
from tests.functional.test_hostile import attack

__all__ = ["access_token", "api", "app", "attack", "live", "new_api", "settings"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory is marked."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("attack")
