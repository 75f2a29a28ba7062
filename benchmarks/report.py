"""RESULTS.md out of what was measured: tables, and plainly what is met and what is missed. docs/benchmarks.md"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import access_report, gateway_report, search_report
from benchmarks.measures import Measured
from benchmarks.tables import table

LOAD_TARGET = 2500
MEMORY_TARGET_MIB = 150
FLOOR_LIMIT = 2.0

HEAD = """# Benchmark results

Written by `make bench`; what is measured and how stands in [docs/benchmarks.md](../docs/benchmarks.md), the raw
figures in `results.json`, `searches.json`, `scale.json`, `growth.json`, `verify.json`, `decide.json`, `panel.json`
and `gateway.json` beside this file.
"""

SECTIONS = {"searches.json": "Searches", "scale.json": "Searches at scale"}
"""The files of searches, and the titles of their parts."""


def render(found: dict[str, dict[str, Any]]) -> str:
    """The whole document from the files' contents by name; a part that was never measured is left out."""
    lines = [HEAD]
    if "results.json" in found:
        lines += _results(found["results.json"])
    for name, title in SECTIONS.items():
        if name in found:
            lines += search_report.section(title, found[name])
    if "growth.json" in found:
        lines += _growth(found["growth.json"])
    if "verify.json" in found:
        lines += access_report.verification(found["verify.json"])
    if "decide.json" in found:
        lines += access_report.decision(found["decide.json"])
    if "panel.json" in found:
        lines += access_report.panel(found["panel.json"])
    if "gateway.json" in found:
        lines += gateway_report.section(found["gateway.json"])
    return "\n".join(lines) + "\n"


def verdicts(results: dict[str, Any]) -> list[tuple[str, bool]]:
    """Each target of the run as a sentence, and whether it is met."""
    busiest = max(results["pace"]["connections"])
    found = []
    for measured in map(Measured.from_json, results["paths"]):
        connections = busiest if busiest in measured.series else min(measured.series, default=0)
        if measured.refused or connections not in measured.series:
            found.append((f"{measured.title}: not measured ({_one_line(measured.refused)})", False))
            continue
        if measured.budget is not None:
            cpu = measured.series[connections].cpu()
            found.append(
                (f"{measured.title}: {cpu:.0f} us CPU of {measured.budget:.0f} allowed", cpu <= measured.budget)
            )
        ratio = measured.ratio(connections)
        if ratio is not None:
            found.append(
                (f"{measured.title}: {ratio:.1f} times its floor, {FLOOR_LIMIT:g} allowed", ratio <= FLOOR_LIMIT)
            )
        if measured.name == "load":
            rate = measured.series[connections].rate()
            found.append((f"{measured.title}: {rate:,.0f} resources/s, {LOAD_TARGET:,} wanted", rate >= LOAD_TARGET))
    peak = max((memory["peak"] for memory in results["memory"].values()), default=0) / 1024
    found.append(
        (
            f"memory of the web worker at most {peak:.0f} MiB, less than {MEMORY_TARGET_MIB} wanted",
            peak < MEMORY_TARGET_MIB,
        )
    )
    return found


def growth_verdicts(growth: dict[str, Any]) -> list[tuple[str, bool]]:
    """Each ratio of large to small as a sentence, and whether it is allowed."""
    small, large = (stage["measured"] for stage in growth["stages"])
    found = []
    for kind in small:
        before, after = Measured.from_json(small[kind]), Measured.from_json(large[kind])
        for connections in before.series:
            ratio = growth_ratio(before, after, connections)
            words = "1 connection" if connections == 1 else f"{connections} connections"
            found.append(
                (
                    f"{before.title}, {words}: {ratio:.2f} times the CPU, {growth['allowed']} allowed",
                    ratio <= growth["allowed"],
                )
            )
    return found


def growth_ratio(before: Measured, after: Measured, connections: int) -> float:
    """CPU for each request on the large data as a multiple of that on the small."""
    return after.series[connections].cpu() / before.series[connections].cpu()


def _results(results: dict[str, Any]) -> Iterator[str]:
    pace = results["pace"]
    yield "## The machine"
    yield ""
    yield from table(("", ""), [(name, value) for name, value in results["machine"].items()])
    yield (
        f"Each figure is the median of {pace['rounds']} rounds of {pace['seconds']:g} s; ± is half the distance from "
        "the least to the greatest round. The load generator, the web worker and PostgreSQL share the machine's cores: "
        "CPU time is counted for each by the operating system, requests/s and latencies are what is left when they "
        "share."
    )
    yield ""
    yield "## Met and missed"
    yield ""
    yield from (f"- {'met' if met else '**missed**'}: {sentence}" for sentence, met in verdicts(results))
    yield ""
    yield "## CPU of each path beside its floor"
    yield ""
    yield "CPU microseconds for each unit, of the server's processes and PostgreSQL's together."
    yield ""
    yield from _paths([Measured.from_json(one) for one in results["paths"]])
    yield (
        "Floors: "
        + "; ".join(f"{one['title']}: {one['floor_title']}" for one in results["paths"] if one["floor_title"])
        + "."
    )
    yield ""
    yield "## Requests and latencies"
    yield ""
    yield from _latencies([Measured.from_json(one) for one in results["paths"]])
    yield "## Workloads over HTTP"
    yield ""
    for subject in results["subjects"]:
        yield f"### {subject['name']} ({subject['resources']:,} resources at the start)"
        yield ""
        yield from _latencies([Measured.from_json(one) for one in subject["workloads"]])
    yield "## Memory of the web worker"
    yield ""
    rows = [
        (when, *(f"{found[name] / 1024:.0f}" for name in ("peak", "resident", "proportional")))
        for when, found in results["memory"].items()
    ]
    yield from table(("", "peak RSS, MiB", "RSS, MiB", "PSS, MiB"), rows)


def _paths(paths: Sequence[Measured]) -> Iterator[str]:
    rows = []
    for measured in paths:
        for connections, series in measured.series.items():
            floor, ratio = measured.floor.get(connections), measured.ratio(connections)
            web = series.cpu("web", "load")
            rows.append(
                (
                    measured.title,
                    measured.unit,
                    str(connections),
                    f"**{series.cpu():.0f}** ± {series.variation():.0%}",
                    f"{web:.0f}",
                    f"{series.cpu('postgres'):.0f}",
                    f"{measured.budget:.0f}" if measured.budget else "",
                    f"{floor.cpu():.0f} ± {floor.variation():.0%}" if floor else "",
                    f"{ratio:.1f}" if ratio else "",
                )
            )
        if measured.refused:
            rows.append((measured.title, "not measured", "", "", "", "", "", "", ""))
    yield from table(
        ("path", "unit", "connections", "CPU us", "server", "PostgreSQL", "budget", "floor", "ratio"), rows
    )


def _latencies(measured: Sequence[Measured]) -> Iterator[str]:
    rows = []
    for one in measured:
        for connections, series in one.series.items():
            rate = f"{series.rate():,.0f} {one.unit}s/s"
            times = [f"{series.latency(name) / 1000:.2f}" for name in ("p50", "p99")]
            client = f"{series.rounds[0].client_cpu:.0f}"
            rows.append(
                (one.title, str(connections), rate, *times, f"{series.cpu():.0f}" if series.cpu() else "", client)
            )
            for kind in series.kinds():
                times = [f"{series.latency(name, kind) / 1000:.2f}" for name in ("p50", "p99")]
                rows.append((f"- {kind}", str(connections), "", *times, "", ""))
        if one.refused:
            rows.append((one.title, "", f"not measured: {_one_line(one.refused)}", "", "", "", ""))
    yield from table(("workload", "connections", "rate", "p50 ms", "p99 ms", "CPU us", "client CPU us"), rows)


def _growth(growth: dict[str, Any]) -> Iterator[str]:
    stages = growth["stages"]
    yield "## Cost as the data grows"
    yield ""
    machine = growth["machine"]
    yield (
        f"Measured on {machine['date']} at commit {machine['commit']}, load average {machine['load average']}; "
        f"{growth['tenants']} tenants with row level security on both sides, PostgreSQL's shared_buffers by default."
    )
    yield ""
    yield from (f"- {'met' if met else '**missed**'}: {sentence}" for sentence, met in growth_verdicts(growth))
    yield ""
    rows = []
    for kind in stages[0]["measured"]:
        for connections in Measured.from_json(stages[0]["measured"][kind]).series:
            for stage in stages:
                measured = Measured.from_json(stage["measured"][kind])
                series = measured.series[connections]
                size = sum(stage["bytes"].values()) / 1024 / 1024
                rows.append(
                    (
                        measured.title, f"{stage['resources']:,}", f"{size:,.0f} MiB", str(connections),
                        f"{series.cpu():.0f} ± {series.variation():.0%}", f"{series.cpu('web'):.0f}",
                        f"{series.cpu('postgres'):.0f}", f"{series.rate():,.0f}",
                        f"{series.latency('p50') / 1000:.2f}", f"{series.latency('p99') / 1000:.2f}",
                    )
                )  # fmt: skip
    head = (
        "path",
        "resources",
        "tables",
        "connections",
        "CPU us",
        "server",
        "PostgreSQL",
        "requests/s",
        "p50 ms",
        "p99 ms",
    )
    yield from table(head, rows)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200].replace("|", "/")
