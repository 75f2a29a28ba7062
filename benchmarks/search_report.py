"""The part of RESULTS.md on searches: tables, and what is met and what is missed. docs/benchmarks.md, "Searches" """

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.search_mix import DEEP_PAGE, FIRST_PAGE
from benchmarks.searching import Timed
from benchmarks.tables import table

Verdict = tuple[str, bool]


def section(title: str, found: dict[str, Any]) -> Iterator[str]:
    """The tables of one run, with its verdicts before them."""
    effort, stages = found["effort"], found["stages"]
    yield f"## {title}"
    yield ""
    machine = stages[0]["machine"]
    yield (
        f"Measured on {machine['date']} at commit {machine['commit']}, {machine['processor']}, load average "
        f"{machine['load average']}, through one web worker with one connection; five tenants, the one searched has "
        "60 % of the resources; row level security on; PostgreSQL's settings are the product's. Milliseconds: `p50` "
        f"and `p95` are the server's own (Server-Timing), the best of {effort['rounds']} rounds of "
        f"{effort['requests']} requests, `CPU` the least median of the worker's and PostgreSQL's CPU time for one of "
        f"them, `SQL` the median of the same statements alone, the answer received, `ratio` "
        "the two medians' in the same round."
    )
    yield ""
    if "note" in found:
        yield found["note"]
        yield ""
    yield from table(
        ("resources", "loaded in", "tables"),
        [
            (f"{one['resources']:,}", f"{one['load_seconds']:,.0f} s", f"{sum(one['bytes'].values()) / 2**20:,.0f} MiB")
            for one in stages
        ],
    )
    yield from (f"- {'met' if met else '**missed**'}: {sentence}" for sentence, met in verdicts(found))
    yield ""
    for stage in stages:
        yield f"### {stage['resources']:,} resources"
        yield ""
        yield from table(
            ("kind", "search", "entries", "p50", "p95", "CPU", "SQL", "ratio", "allowed"),
            [_row(one) for one in _timed(stage)],
        )


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    """Each target as a sentence, and whether it is met."""
    stages = found["stages"]
    sentences = [verdict for stage in stages for verdict in (*_allowed(stage), *_pages(stage, found["page"]))]
    for before, after in pairwise(stages):
        sentences += _growth(before, after, found["growth"])
    return sentences


def _timed(stage: dict[str, Any]) -> list[Timed]:
    return [Timed(**one) for one in stage["searches"]]


def _allowed(stage: dict[str, Any]) -> Iterator[Verdict]:
    size = f"{stage['resources']:,} resources"
    for one in _timed(stage):
        if one.refused:
            yield f"{size}, {one.group}: `{one.title}` is refused", False
        elif one.allowed is not None:
            p50 = one.best()
            yield f"{size}, {one.group}: `{one.title}` {p50:.2f} ms, {one.allowed:g} allowed", p50 <= one.allowed


def _pages(stage: dict[str, Any], allowed: float) -> Iterator[Verdict]:
    searches = _timed(stage)
    deep = {one.title: one for one in searches if one.group == DEEP_PAGE and not one.refused}
    for one in searches:
        if one.group == FIRST_PAGE and one.title in deep:
            ratio = deep[one.title].best() / one.best()
            sentence = f"{stage['resources']:,} resources, a deep page: `{one.title}` {ratio:.2f} times the first"
            yield f"{sentence}, {allowed:g} allowed", ratio <= allowed


def _growth(before: dict[str, Any], after: dict[str, Any], allowed: float) -> Iterator[Verdict]:
    smaller = {(one.group, one.title): one for one in _timed(before)}
    for one in _timed(after):
        other = smaller.get((one.group, one.title))
        if other is not None and not one.refused and not other.refused:
            ratio = one.best() / other.best()
            sentence = f"{after['resources']:,} against {before['resources']:,} resources: `{one.title}` ({one.group})"
            yield f"{sentence} {ratio:.2f} times, {allowed:g} allowed", ratio <= allowed


def _row(one: Timed) -> Sequence[str]:
    title = f"`{one.title}`".replace("|", "\\|")
    if one.refused:
        return one.group, title, "", "refused", "", "", "", "", ""
    return (
        one.group,
        title,
        f"{one.entries:.0f}",
        f"**{one.best():.2f}**",
        f"{one.best('p95'):.2f}",
        f"{one.best(side='cpu'):.2f}",
        f"{one.best(side='sql'):.2f}",
        f"{one.ratio:.1f}" if one.ratio else "",
        f"{one.allowed:g}" if one.allowed else "",
    )
