"""Rounds, medians, ratios, and the report made of them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from benchmarks import report
from benchmarks.driver import Load
from benchmarks.measures import Measured, Refused, round_of


def load(cpu: float, floor: bool = False, requests: int = 100) -> Load:
    used = (
        {"postgres": cpu * requests / 4} if floor else {"web": cpu * requests * 3 / 4, "postgres": cpu * requests / 4}
    )
    return Load(2.0, requests, {"read": [float(n) for n in range(1, requests + 1)]}, used, client_cpu=1000.0)


def measured(*pairs: tuple[float, float], budget: float = 350) -> Measured:
    found = Measured("read", "read by id", budget=budget, floor_title="the least")
    for product, floor in pairs:
        found.add(8, round_of(load(product)))
        found.add(8, round_of(load(floor, floor=True)), floor=True)
    return found


def test_a_round() -> None:
    one = round_of(load(200))
    assert one.rate == 50
    assert one.cpu == {"web": 150, "postgres": 50}
    assert one.latency == {"p50": 50, "p99": 99, "n": 100}
    assert one.client_cpu == 10
    assert one.kinds == {}
    bundles = round_of(load(600), 60)
    assert (bundles.units, bundles.rate, sum(bundles.cpu.values())) == (6000, 3000, 10)


def test_kinds_are_told_apart_where_there_are_several() -> None:
    one = round_of(Load(1.0, 3, {"read": [1.0, 3.0], "update": [9.0]}, {}))
    assert one.kinds["read"]["p50"] == 1
    assert one.kinds["update"] == {"p50": 9, "p99": 9, "n": 1}
    assert one.latency["p99"] == 9


def test_errors_and_nothing_are_no_result() -> None:
    with pytest.raises(Refused, match="2 of 3 requests failed, the first: create: 422"):
        round_of(Load(1.0, 3, {"create": [1.0] * 3}, {}, failures=2, first_failure="create: 422"))
    with pytest.raises(Refused, match="no request"):
        round_of(Load(1.0, 0))


def test_medians_and_the_ratio_of_each_round_to_its_own_floor() -> None:
    found = measured((200, 400), (300, 600), (1000, 400))
    series = found.series[8]
    assert series.cpu() == 300
    assert series.cpu("web") == 225
    assert series.variation() == pytest.approx(800 / 2 / 300)
    assert found.ratio(8) == pytest.approx(2.0), "a floor's CPU is a quarter here: 200/100, 300/150, 1000/100"
    assert found.ratio(1) is None


def test_json_and_back() -> None:
    found = measured((200.123, 400))
    again = Measured.from_json(json.loads(json.dumps(found.to_json())))
    assert again.to_json() == found.to_json()
    assert again.series[8].cpu() == pytest.approx(200.1, abs=0.1)


def _results(*paths: Measured) -> dict[str, Any]:
    workload = Measured("crud", "CRUD cycle")
    workload.add(8, round_of(Load(1.0, 3, {"read": [1.0, 3.0], "update": [9.0]}, {})))
    return {
        "machine": {"date": "2020-02-02 20:20 UTC", "commit": "abc"},
        "pace": {"seconds": 2.0, "rounds": 3, "connections": [1, 8], "patients": 5},
        "paths": [one.to_json() for one in paths],
        "subjects": [{"name": "ours", "resources": 1234, "workloads": [workload.to_json()]}],
        "memory": {"at the end": {"peak": 100 * 1024, "resident": 90 * 1024, "proportional": 80 * 1024}},
    }


def test_verdicts_say_what_is_met_and_what_is_missed() -> None:
    refused = Measured("create", "create", budget=900, refused="422 |\nno")
    found = dict(report.verdicts(_results(measured((200, 400)), measured((360, 400)), refused)))
    assert found == {
        "read by id: 200 us CPU of 350 allowed": True,
        "read by id: 2.0 times its floor, 2 allowed": True,
        "read by id: 360 us CPU of 350 allowed": False,
        "read by id: 3.6 times its floor, 2 allowed": False,
        "create: not measured (422 / no)": False,
        "memory of the web worker at most 100 MiB, less than 150 wanted": True,
    }


def test_growth_is_judged_by_the_ratio_of_cpu() -> None:
    stages = [{"measured": {"read": measured((cpu, 100)).to_json()}} for cpu in (200, 250)]
    assert report.growth_verdicts({"allowed": 1.3, "stages": stages}) == [
        ("read by id, 8 connections: 1.25 times the CPU, 1.3 allowed", True)
    ]
    stages[1]["measured"]["read"] = measured((270, 100)).to_json()
    assert report.growth_verdicts({"allowed": 1.3, "stages": stages}) == [
        ("read by id, 8 connections: 1.35 times the CPU, 1.3 allowed", False)
    ]


def test_the_document_has_whole_tables() -> None:
    stages = [
        {"resources": size, "bytes": {"resource": size}, "measured": {"read": measured((200, 100)).to_json()}}
        for size in (5000, 500_000)
    ]
    growth = {
        "machine": {"date": "d", "commit": "c", "load average": "1"},
        "tenants": 4,
        "allowed": 1.3,
        "stages": stages,
    }
    text = report.render({"results.json": _results(measured((200, 400), (210, 400))), "growth.json": growth})
    assert "**205** ± 2%" in text
    assert "| - update | 8 |" in text
    assert "500,000" in text
    widths = [line.count("|") for line in text.splitlines()]
    assert all(not a or not b or a == b for a, b in pairwise(widths))
    assert report.render({}).startswith("# Benchmark results")
