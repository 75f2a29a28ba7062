"""The benchmark as a whole takes a minute: it runs only when asked for, by `make test ARGS="-m benchmark"`."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "benchmark: runs every measurement once, briefly; asserts no time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "benchmark" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("benchmark"):
            item.add_marker(pytest.mark.skip(reason="takes a minute; run it with -m benchmark"))
