"""One path or workload measured in rounds, and what a reader wants to know of it. docs/benchmarks.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.driver import Load
from benchmarks.figures import median, percentile, spread


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement. ``units`` are requests, or resources where a request holds many; CPU microseconds for each unit,
    ``latency`` percentiles of requests in microseconds."""

    units: int
    seconds: float
    cpu: dict[str, float]
    latency: dict[str, float]
    client_cpu: float
    kinds: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds


def round_of(load: Load, units_per_request: int = 1) -> Round:
    """What a load amounts to. Raises Refused if any request was answered by an error."""
    if load.failures:
        raise Refused(f"{load.failures} of {load.requests} requests failed, the first: {load.first_failure}")
    if not load.requests:
        raise Refused("no request was answered within the time")
    units = load.requests * units_per_request
    kinds = {kind: _percentiles(values) for kind, values in load.latencies.items()}
    return Round(
        units,
        load.seconds,
        {name: used / units for name, used in load.cpu.items()},
        _percentiles([value for values in load.latencies.values() for value in values]),
        load.client_cpu / units,
        kinds if len(kinds) > 1 else {},
    )


class Refused(Exception):
    """What was to be measured does not work, so its figures would mean nothing."""


def _percentiles(latencies: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "n": float(len(ordered))}


@dataclass(slots=True)
class Series:
    """The rounds of one measurement with a fixed number of connections."""

    connections: int
    rounds: list[Round] = field(default_factory=list)

    def cpu(self, *names: str) -> float:
        """Median CPU microseconds for each unit, of the named process trees together (all unless named)."""
        return median([sum(v for k, v in one.cpu.items() if not names or k in names) for one in self.rounds])

    def rate(self) -> float:
        """Median units a second."""
        return median([one.rate for one in self.rounds])

    def latency(self, name: str, kind: str = "") -> float:
        """Median over the rounds of a latency percentile (p50, p99) in microseconds."""
        return median([(one.kinds[kind] if kind else one.latency)[name] for one in self.rounds])

    def variation(self) -> float:
        """How far the rounds' CPU (or, where none is counted, rates) lie around their median; 0.05 is within 5 %."""
        values = [sum(one.cpu.values()) or one.rate for one in self.rounds]
        return spread(values)

    def kinds(self) -> list[str]:
        """The kinds of request, where there are several."""
        return list(self.rounds[0].kinds)


@dataclass(slots=True)
class Measured:
    """A path or workload: its series by number of connections, beside those of its floor."""

    name: str
    title: str
    unit: str = "request"
    budget: float | None = None
    floor_title: str = ""
    series: dict[int, Series] = field(default_factory=dict)
    floor: dict[int, Series] = field(default_factory=dict)
    refused: str = ""

    def add(self, connections: int, one: Round, *, floor: bool = False) -> None:
        """One more round."""
        where = self.floor if floor else self.series
        where.setdefault(connections, Series(connections)).rounds.append(one)

    def ratio(self, connections: int) -> float | None:
        """CPU as a multiple of the floor's; the median of the rounds' own ratios, which drift together."""
        if connections not in self.floor or connections not in self.series:
            return None
        pairs = zip(self.series[connections].rounds, self.floor[connections].rounds, strict=False)
        return median([sum(one.cpu.values()) / sum(floor.cpu.values()) for one, floor in pairs])

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured, in plain values."""
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "budget": self.budget,
            "floor_title": self.floor_title,
            "refused": self.refused,
            "series": {str(n): [_plain(one) for one in s.rounds] for n, s in self.series.items()},
            "floor": {str(n): [_plain(one) for one in s.rounds] for n, s in self.floor.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Measured:
        """What `to_json` made."""
        measured = cls(
            value["name"],
            value["title"],
            value["unit"],
            value["budget"],
            value["floor_title"],
            refused=value["refused"],
        )
        for name, where in (("series", measured.series), ("floor", measured.floor)):
            for n, rounds in value[name].items():
                where[int(n)] = Series(int(n), [Round(**one) for one in rounds])
        return measured


def _plain(one: Round) -> dict[str, Any]:
    return {
        "units": one.units,
        "seconds": round(one.seconds, 4),
        "cpu": {name: round(value, 1) for name, value in one.cpu.items()},
        "latency": {name: round(value, 1) for name, value in one.latency.items()},
        "client_cpu": round(one.client_cpu, 1),
        "kinds": {kind: {name: round(v, 1) for name, v in found.items()} for kind, found in one.kinds.items()},
    }
