"""What it costs to verify an access_token that was seen before: digest, expiry, revocations and the Principal.

It runs in this process, as a request's thread does it, over a database that is asked for revocations twice a second.
docs/benchmarks.md, "Verification"
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import instance, machine
from benchmarks.figures import median
from fhir_server.authn import keys
from fhir_server.authn.access_token import Verifier, issue
from fhir_server.store import revocations
from fhir_server.store.revocation_watch import Revocations
from fhir_server.store.session import Database

ALLOWED = 5.0
"""CPU microseconds of one verification."""

ACCESS_TOKENS = 1_000
REVOKED = 1_000
SECONDS = 2.0
"""Of each round: several looks at the database are in it."""


def run(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Verify access_tokens in turn, with as many revocations known; as plain values."""
    with instance.running_instance() as one:
        settings = one.settings(instance.free_port())
        database = Database(one.postgres.app_url, 2)
        database.open()
        try:
            _revoke(database)
            signing = keys.load_or_create(settings.key_file)
            verifier = Verifier(signing, settings.issuer, Revocations(database))
            access_tokens = [
                issue(
                    signing,
                    issuer=settings.issuer,
                    sub=f"person-{number}",
                    client_id="bench",
                    tenant="bench",
                    scope="launch/patient openid fhirUser offline_access user/*.rs patient/*.rs",
                    lifetime=86_400,
                    roles=["physician"],
                    fhir_user=f"Practitioner/{number}",
                    grant=f"grant-{number}",
                )
                for number in range(ACCESS_TOKENS)
            ]
            first = _first(verifier, access_tokens)
            found = [_round(verifier, access_tokens) for _ in range(rounds)]
        finally:
            database.close()
        say(f"verification: {median(found):.2f} us, the first time {first:.0f} us")
        return {
            "allowed": ALLOWED,
            "access_tokens": ACCESS_TOKENS,
            "revoked": REVOKED,
            "seconds": SECONDS,
            "first_us": round(first, 1),
            "rounds_us": [round(value, 3) for value in found],
            "machine": machine.describe(one.postgres.owner_url),
        }


def _revoke(database: Database) -> None:
    now = time.time_ns() // 1000
    for number in range(REVOKED):
        database.run(
            lambda c, value=f"other-{number}": revocations.revoke(c, "grant", value, revocations.ALL, now)  # type: ignore[misc]
        )


def _first(verifier: Verifier, access_tokens: Sequence[str]) -> float:
    """Microseconds of CPU that it takes to verify the signature of each."""
    before = time.thread_time_ns()
    for access_token in access_tokens:
        verifier.verify(access_token)
    return (time.thread_time_ns() - before) / len(access_tokens) / 1000


def _round(verifier: Verifier, access_tokens: Sequence[str]) -> float:
    """Microseconds of CPU for each verification of SECONDS, the looks at the database among them."""
    done, until = 0, time.monotonic() + SECONDS
    before = time.thread_time_ns()
    while time.monotonic() < until:
        for access_token in access_tokens:
            _ = verifier.verify(access_token).principal
        done += len(access_tokens)
    return (time.thread_time_ns() - before) / done / 1000
