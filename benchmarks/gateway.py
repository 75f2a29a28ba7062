"""What the HL7 v2 gateway takes, and what a message costs by phase. docs/benchmarks.md, "The HL7 v2 gateway" """

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg

from benchmarks import delivering, feeding, instance, machine
from benchmarks.feeding import Sending
from benchmarks.instance import Instance
from fhir_server.store import hl7_feeds

ACCEPTED: Final = 5_000
STORED: Final = 500
ALONE: Final = 200
P99_MS: Final = 100.0
"""What is aimed at: messages a second, and milliseconds at STORED a second."""

CONNECTIONS: Final = 64
WORKERS: Final = 2
_MOST_A_SECOND: Final = {"accepted": 7_000, "stored": 1_000}
_DELIVERED: Final = 3_000


def run(seconds: float, minutes: float, rate: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure each way of sending for ``seconds``, the paced one at ``rate`` for ``minutes``; as plain values."""
    with instance.running_instance() as one:
        described = machine.describe(one.postgres.owner_url)
        fed = _fed(one, seconds, minutes, rate, say)
    phases = []
    for most in (32, 1):
        with instance.running_instance() as one:
            found = delivering.measure(one, "delivered", _DELIVERED, most)
        phases.append(found)
        say(f"delivered, {most} in a transaction at most: {found['per_second']:,.0f}/s in one process")
    return {
        "machine": described,
        "targets": {"accepted": ACCEPTED, "stored": STORED, "alone": ALONE, "p99_ms": P99_MS},
        "workers": WORKERS,
        "fed": fed,
        "phases": phases,
    }


def _fed(
    one: Instance, seconds: float, minutes: float, rate: float, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    tenant = one.tenant("fed")
    _configure(one, tenant.id, {"zone": "America/New_York"})
    found = []
    for kind, sending in (
        ("accepted", Sending(CONNECTIONS, seconds)),
        ("accepted", Sending(1, seconds)),
        ("stored", Sending(CONNECTIONS, seconds)),
        ("stored", Sending(1, seconds)),
        ("stored", Sending(CONNECTIONS, minutes * 60, rate)),
    ):
        if kind == "stored":
            # Nobody has converted what was accepted before.
            _configure(one, tenant.id, {"zone": "America/New_York", "acknowledgment": "commit"})
        number = (
            int(sending.seconds * (sending.rate or _MOST_A_SECOND[kind] * min(sending.connections, 10) / 10)) + 1_000
        )
        measured = feeding.measure(one, sending, workers=0 if kind == "accepted" else WORKERS, number=number)
        found.append({"kind": kind, **measured})
        reached, late = measured["per_second"], measured["p99_ms"]
        say(f"{kind}, {sending.connections} connections: {reached:,.0f}/s, p99 {late:.0f} ms")
    return found


def _configure(one: Instance, tenant_id: int, configuration: dict[str, Any]) -> None:
    with psycopg.connect(one.postgres.owner_url) as owner:
        owner.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
        owner.execute("TRUNCATE hl7_queue")
        hl7_feeds.remove(owner, tenant_id, "bench")
        hl7_feeds.add(owner, tenant_id, "bench", configuration, 1)
