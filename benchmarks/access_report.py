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


def measured_on(machine: dict[str, str]) -> str:
    """A sentence on what was measured, when and beside what."""
    return (
        f"Measured on {machine['date']} at commit {machine['commit']}, {machine['processor']}, load average "
        f"{machine['load average']}: where that is more than 1, other processes had the machine too."
    )


def line(sentence: str, met: bool) -> str:
    """A target with what became of it."""
    return f"- {'met' if met else '**missed**'}: {sentence}"
