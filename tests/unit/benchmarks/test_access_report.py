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
