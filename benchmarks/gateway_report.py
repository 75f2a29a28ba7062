"""The part of RESULTS.md on the HL7 v2 gateway. docs/benchmarks.md, "The HL7 v2 gateway" """

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.access_report import line, measured_on
from benchmarks.tables import table


def section(found: dict[str, Any]) -> Iterator[str]:
    """What was accepted and stored, beside what is aimed at, and what a message costs by phase."""
    yield "## The HL7 v2 gateway"
    yield ""
    yield measured_on(found["machine"])
    yield ""
    yield from (line(sentence, met) for sentence, met in verdicts(found))
    yield ""
    yield from table(
        (
            "",
            "sent",
            "messages/s",
            "refused",
            "p50 ms",
            "p99 ms",
            "gateway CPU us",
            "PostgreSQL CPU us",
            "client CPU us",
        ),
        [_row(one) for one in found["fed"]],
    )
    for one in found["phases"]:
        yield from _phases(one)


def verdicts(found: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each target as a sentence, and whether it is met."""
    targets = found["targets"]
    for one in found["fed"]:
        reached = one["per_second"]
        if one["rate"]:
            asked = f"{one['rate']:,.0f} sent a second for {one['seconds'] / 60:.1f} minutes over {one['connections']}"
            said = (
                f"{asked} connections: {reached:,.0f} stored a second before they are acknowledged, p99 "
                f"{one['p99_ms']:,.0f} ms of {targets['p99_ms']:g} allowed"
            )
            yield said, reached >= 0.99 * targets["stored"] and one["p99_ms"] <= targets["p99_ms"]
        elif one["kind"] == "accepted" and one["connections"] > 1:
            yield f"{reached:,.0f} accepted a second of {targets['accepted']:,} wanted", reached >= targets["accepted"]
        elif one["kind"] == "stored" and one["connections"] == 1:
            said = f"{reached:,.0f} stored a second over one connection that waits, of {targets['alone']:,} wanted"
            yield said, reached >= targets["alone"]


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    cpu = one["cpu_us"]
    many = f"{one['connections']} connections" if one["connections"] > 1 else "one connection"
    return (
        f"{one['kind']}, {many}",
        f"{one['rate']:,.0f}/s" if one["rate"] else "as answered",
        f"{one['per_second']:,.0f}",
        f"{one['refused']:,}",
        f"{one['p50_ms']:.1f}",
        f"{one['p99_ms']:.1f}",
        *(f"{cpu[name]:,.0f}" for name in ("gateway", "postgres", "client")),
    )


def _phases(one: dict[str, Any]) -> Iterator[str]:
    own, postgres = one["own_us"], one["postgres_us"]
    many = f"up to {one['most']} messages" if one["most"] > 1 else "one message"
    yield (
        f"Delivered by one process, {many} in a transaction: {one['per_second']:,.0f}/s; CPU microseconds for each of "
        f"{one['messages']:,} messages:"
    )
    yield ""
    names = sorted(own, key=lambda name: -own[name] - postgres[name])
    rows = [(name, f"{own[name]:,.0f}", f"{postgres[name]:,.0f}") for name in names]
    rows.append(("everything", f"{sum(own.values()):,.0f}", f"{sum(postgres.values()):,.0f}"))
    yield from table(("phase", "worker", "PostgreSQL"), rows)
