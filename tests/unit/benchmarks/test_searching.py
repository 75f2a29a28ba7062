"""What is measured of searches, how it is judged, and that the searches asked for are what they say."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from random import Random
from typing import Any
from urllib.parse import unquote

import pytest

from benchmarks import report, search_report
from benchmarks.search_mix import COMMON, DEEP_PAGE, FIRST_PAGE, MIX, Sample, searches
from benchmarks.searching import Timed

SAMPLE = Sample(["p1", "p2"], ["i1", "i2"])


def test_each_kind_of_search_is_asked_for_with_several_values() -> None:
    found = searches(SAMPLE, Random(1), 12, 7)
    assert {one.group for one in found} == {group for group, *_ in MIX} | {FIRST_PAGE, DEEP_PAGE}
    for one in found:
        assert one.paths
        assert "{" not in "".join(one.paths)
        if one.group not in {FIRST_PAGE, DEEP_PAGE, "system"}:
            assert len(one.paths) > 1, one.title
    assert {one.pages for one in found if one.group == DEEP_PAGE} == {7}


def test_the_same_random_numbers_ask_for_the_same() -> None:
    assert searches(SAMPLE, Random(2), 9, 1) == searches(SAMPLE, Random(2), 9, 1)


def test_a_period_ends_in_the_year_that_it_begins_in() -> None:
    (period,) = [one for one in searches(SAMPLE, Random(3), 30, 1) if "{same_year}" in one.title]
    for path in period.paths:
        first, second = (part.partition("=")[2][2:6] for part in path.partition("?")[2].split("&")[:2])
        assert first == second


def test_common_codes_are_asked_for_more_often() -> None:
    found = [one for one in searches(SAMPLE, Random(4), 60, 1) if one.title == "Observation?code={test}&_count=20"]
    paths = [unquote(path) for path in found[0].paths]
    assert any(COMMON in path for path in paths)
    assert 15 < len(paths) < 60, "some are drawn more than once"


def _timed(group: str, title: str, *medians: float, allowed: float | None = None, refused: str = "") -> dict[str, Any]:
    server = [{"p50": one, "p95": 2 * one} for one in medians]
    cpu = [{"p50": one / 4, "p95": one} for one in medians]
    sql = [{"p50": one / 2, "p95": one} for one in medians]
    return asdict(Timed(group, title, allowed, server, cpu, sql, 20.0, refused))


def _run(*stages: list[dict[str, Any]]) -> dict[str, Any]:
    machine = {"date": "d", "commit": "c", "processor": "p", "load average": "1"}
    return {
        "growth": 1.5,
        "page": 1.5,
        "effort": {"rounds": 2, "requests": 30, "different": 30, "pages": 50},
        "stages": [
            {
                "resources": 500_000 * 10**n,
                "load_seconds": 60.0,
                "bytes": {"resource": 2**30},
                "machine": machine,
                "searches": found,
            }
            for n, found in enumerate(stages)
        ],
    }


def test_the_least_median_of_the_rounds_counts() -> None:
    timed = Timed(**_timed("string", "a", 3.0, 2.0, 9.0))
    assert timed.best() == 2.0
    assert timed.best("p95") == 4.0
    assert timed.best(side="sql") == 1.0
    assert timed.ratio == pytest.approx(2.0)


def test_verdicts_on_milliseconds_pages_and_growth() -> None:
    small = [
        _timed("patient-scoped", "x", 2.0, 2.9, allowed=3.0),
        _timed("chain", "y", 16.0, allowed=15.0),
        _timed("_has", "z", refused="400", allowed=15.0),
        _timed(FIRST_PAGE, "s", 2.0),
        _timed(DEEP_PAGE, "s", 3.2),
    ]
    large = [_timed("patient-scoped", "x", 3.0, allowed=3.0), _timed("chain", "y", 25.0, allowed=15.0)]
    found = dict(search_report.verdicts(_run(small, large)))
    assert found == {
        "500,000 resources, patient-scoped: `x` 2.00 ms, 3 allowed": True,
        "500,000 resources, chain: `y` 16.00 ms, 15 allowed": False,
        "500,000 resources, _has: `z` is refused": False,
        "500,000 resources, a deep page: `s` 1.60 times the first, 1.5 allowed": False,
        "5,000,000 resources, patient-scoped: `x` 3.00 ms, 3 allowed": True,
        "5,000,000 resources, chain: `y` 25.00 ms, 15 allowed": False,
        "5,000,000 against 500,000 resources: `x` (patient-scoped) 1.50 times, 1.5 allowed": True,
        "5,000,000 against 500,000 resources: `y` (chain) 1.56 times, 1.5 allowed": False,
    }


def test_the_document_tells_the_searches_in_whole_tables() -> None:
    run = _run([_timed("token", "a|b", 2.0), _timed("string", "c", refused="no")])
    text = report.render({"scale.json": json.loads(json.dumps(run | {"note": "On a full moon."}))})
    assert "\nOn a full moon.\n" in text
    assert "## Searches at scale" in text
    assert "| token | `a\\|b` | 20 | **2.00** | 4.00 | 0.50 | 1.00 | 2.0 |  |" in text
    widths = [line.replace("\\|", "").count("|") for line in text.splitlines()]
    assert all(not a or not b or a == b for a, b in pairwise(widths))
