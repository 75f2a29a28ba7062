"""What access control costs, as RESULTS.md tells it."""

from __future__ import annotations

import pytest

from benchmarks import report

MACHINE = {"date": "a day", "commit": "abc", "processor": "one, 2 cores", "load average": "0.1 0.2 0.3"}


@pytest.mark.parametrize(("rounds", "verdict"), [([4.0, 4.5, 9.0], "- met:"), ([4.0, 5.5, 9.0], "- **missed**:")])
def test_verification_is_judged_by_the_median(rounds: list[float], verdict: str) -> None:
    found = {
        "allowed": 5.0,
        "access_tokens": 1_000,
        "revoked": 1_000,
        "seconds": 2.0,
        "first_us": 200.0,
        "rounds_us": rounds,
        "machine": MACHINE,
    }
    text = report.render({"verify.json": found})
    assert f"{verdict} an access_token that was seen before: {sorted(rounds)[1]} us CPU of 5 allowed" in text


@pytest.mark.parametrize(("rounds", "verdict"), [([140.0, 149.0, 300.0], "- met:"), ([151.0], "- **missed**:")])
def test_the_decision_is_judged_by_the_median(rounds: list[float], verdict: str) -> None:
    found = {
        "allowed": 150.0,
        "reads": 3_000,
        "with_us": [400.0],
        "without_us": [250.0],
        "added_us": rounds,
        "machine": MACHINE,
    }
    text = report.render({"decide.json": found})
    assert f"{verdict} they add {sorted(rounds)[len(rounds) // 2]:.0f} us CPU of 150 allowed" in text


def test_only_paths_that_name_a_patient_are_judged() -> None:
    def path(title: str, ratio: float) -> dict[str, object]:
        return {"title": title, "ratio": ratio, "cpu_ratio": 1.0, "server_ms": {"clinic": 1.0, "physician": ratio}}

    found = {
        "allowed": 1.3,
        "panel": 2_000,
        "patients": 20_000,
        "resources": 500_000,
        "paths": [path("read", 1.2), path("a patient's results", 1.4), path("everyone by name", 3.0)],
        "machine": MACHINE,
    }
    text = report.render({"panel.json": found})
    assert "| read | 1.00 | 1.20 | 1.20 | 1.00 | met |" in text
    assert "| a patient's results | 1.00 | 1.40 | 1.40 | 1.00 | **missed** |" in text
    assert "| everyone by name | 1.00 | 3.00 | 3.00 | 1.00 |  |" in text
