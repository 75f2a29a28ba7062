"""The part of RESULTS.md on what access control costs. docs/benchmarks.md, "Verification" """

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.figures import median, spread

Verdict = tuple[str, bool]


def verification(found: dict[str, Any]) -> Iterator[str]:
    """What it costs to verify an access_token that was seen before."""
    cost = median(found["rounds_us"])
    yield "## Verification of access_tokens"
    yield ""
    yield measured_on(found["machine"])
    yield ""
    yield line(
        f"an access_token that was seen before: {cost:.1f} us CPU of {found['allowed']:g} allowed",
        cost <= found["allowed"],
    )
    yield ""
    yield (
        f"{found['access_tokens']:,} access_tokens in turn, with {found['revoked']:,} revocations known; the median of "
        f"{len(found['rounds_us'])} rounds of {found['seconds']:g} s, ± {spread(found['rounds_us']):.0%}. In it are "
        "the digest, the expiry, the revocations with a look at the database twice a second, and the Principal. The "
        f"first time, with the signature, it takes {found['first_us']:.0f} us."
    )
    yield ""


def decision(found: dict[str, Any]) -> Iterator[str]:
    """What deciding and auditing add to a read."""
    added = median(found["added_us"])
    yield "## Decision and audit of a read"
    yield ""
    yield measured_on(found["machine"])
    yield ""
    yield line(f"they add {added:.0f} us CPU of {found['allowed']:g} allowed", added <= found["allowed"])
    yield ""
    yield (
        f"A physician reads a patient of theirs: {median(found['with_us']):.0f} us CPU, without decision and audit "
        f"{median(found['without_us']):.0f} us; of {found['reads']:,} reads a round, {len(found['added_us'])} rounds, "
        f"± {spread(found['added_us']):.0%}. Counted are this process and PostgreSQL: the restricted read, the "
        "record in the spool, and its way into the chain."
    )
    yield ""


def panel(found: dict[str, Any]) -> Iterator[str]:
    """A physician with a panel of patients beside whoever sees the whole clinic."""
    yield "## Seeing some patients of a clinic"
    yield ""
    yield measured_on(found["machine"])
    yield ""
    yield (
        f"A physician with {found['panel']:,} of {found['patients']:,} patients ({found['resources']:,} resources) "
        f"beside a clinic admin who asks the same; {found['allowed']:g}x is allowed where a patient is named."
    )
    yield ""
    yield "| path | admin ms | physician ms | ratio | CPU ratio | |"
    yield "|---|---|---|---|---|---|"
    for one in found["paths"]:
        named = one["title"].startswith(("read", "a patient's"))
        verdict = "" if not named else "met" if one["ratio"] <= found["allowed"] else "**missed**"
        server = one["server_ms"]
        yield (
            f"| {one['title']} | {server['clinic']:.2f} | {server['physician']:.2f} | {one['ratio']:.2f} "
            f"| {one['cpu_ratio']:.2f} | {verdict} |"
        )
    yield ""


def measured_on(machine: dict[str, str]) -> str:
    """A sentence on what was measured, when and beside what."""
    return (
        f"Measured on {machine['date']} at commit {machine['commit']}, {machine['processor']}, load average "
        f"{machine['load average']}: where that is more than 1, other processes had the machine too."
    )


def line(sentence: str, met: bool) -> str:
    """A target with what became of it."""
    return f"- {'met' if met else '**missed**'}: {sentence}"
