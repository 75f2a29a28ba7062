"""What the gateway takes, as RESULTS.md tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.__main__ import _write

MACHINE = {"date": "a day", "commit": "abc", "processor": "one, 2 cores", "load average": "0.1 0.2 0.3"}


def _fed(kind: str, connections: int, per_second: float, *, rate: float = 0.0, p99_ms: float = 50.0) -> dict[str, Any]:
    return {
        "kind": kind,
        "connections": connections,
        "rate": rate,
        "seconds": 600.0,
        "accepted": 10,
        "refused": 0,
        "per_second": per_second,
        "p50_ms": 5.0,
        "p99_ms": p99_ms,
        "cpu_us": {"gateway": 1.0, "postgres": 2.0, "client": 3.0},
    }


def _text(*fed: dict[str, Any]) -> str:
    phases = [
        {
            "messages": 1_000,
            "most": 32,
            "per_second": 400.0,
            "own_us": {"convert": 300.0, "write": 100.0},
            "postgres_us": {"convert": 0.0, "write": 900.0},
        }
    ]
    targets = {"accepted": 5_000, "stored": 500, "alone": 200, "p99_ms": 100.0}
    found = {"machine": MACHINE, "targets": targets, "workers": 2, "fed": list(fed), "phases": phases}
    return report.render({"gateway.json": found})


@pytest.mark.parametrize(
    ("fed", "verdict"),
    [
        (_fed("accepted", 64, 5_000), "- met: 5,000 accepted"),
        (_fed("accepted", 64, 4_999), "- **missed**: 4,999 accepted"),
        (_fed("stored", 1, 200), "- met: 200 stored"),
        (_fed("stored", 1, 199), "- **missed**: 199 stored"),
        (_fed("stored", 64, 499, rate=500), "- met: 500 sent a second for 10.0 minutes"),
        (_fed("stored", 64, 490, rate=500), "- **missed**: 500 sent a second"),
        (_fed("stored", 64, 500, rate=500, p99_ms=101), "- **missed**: 500 sent a second"),
    ],
)
def test_each_target_is_judged(fed: dict[str, Any], verdict: str) -> None:
    assert verdict in _text(fed)


def test_ways_without_a_target_are_only_told() -> None:
    text = _text(_fed("accepted", 1, 400), _fed("stored", 64, 300))
    assert "met" not in text.partition("| ")[0].partition("## The HL7")[2]
    assert "| accepted, one connection | as answered | 400 |" in text


def test_the_dearest_phase_is_told_first() -> None:
    rows = [row for row in _text().splitlines() if row.startswith(("| write", "| convert", "| everything"))]
    assert rows == ["| write | 100 | 900 |", "| convert | 300 | 0 |", "| everything | 400 | 900 |"]


def test_what_is_written_beside_the_page_is_in_it(tmp_path: Path) -> None:
    targets = {"accepted": 5_000, "stored": 500, "alone": 200, "p99_ms": 100.0}
    fed = [_fed("accepted", 1, 400)]
    _write(tmp_path, "gateway.json", {"machine": MACHINE, "targets": targets, "workers": 2, "fed": fed, "phases": []})
    assert json.loads((tmp_path / "gateway.json").read_text())["fed"] == fed
    assert "| accepted, one connection | as answered | 400 |" in (tmp_path / "RESULTS.md").read_text()
