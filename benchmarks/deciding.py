"""What deciding and auditing add to a read, in CPU of the server and of PostgreSQL. docs/benchmarks.md, "Verification"

A physician reads patients of a panel over and over, in this process, once as it is and once without decision and audit:
the rows are then read whole, and no record is made, moved or stored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from benchmarks import instance, machine
from benchmarks.accounting import descendants, nanoseconds
from benchmarks.figures import median
from fhir_server.access.policy import EVERYTHING
from fhir_server.app import FhirServer, create_app
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.interactions import context
from fhir_server.rest.auditing import Auditing

ALLOWED = 150.0
"""CPU microseconds that both may add to a read."""

PATIENTS = 50
READS = 3_000
"""Of each round and way."""

DOCTOR = "Practitioner/doctor"
SLUG = "bench"


def run(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Read in turns with and without; as plain values."""
    with instance.running_instance() as one:
        one.tenant(SLUG)
        settings = one.settings(instance.free_port())
        app = create_app(settings)
        try:
            signing = keys.load_or_create(settings.key_file)

            def access_token(scope: str, **more: Any) -> str:
                return issue(
                    signing, issuer=settings.issuer, sub="bench", client_id="bench", tenant=SLUG, scope=scope,
                    lifetime=86_400, **more,
                )  # fmt: skip

            paths = _fill(app, access_token("system/*.cruds"))
            mine = access_token("user/*.rs", roles=["physician"], fhir_user=DOCTOR, grant="grant")
            pids = [os.getpid(), one.postgres_pid, *descendants(one.postgres_pid)]
            with_both, without = [], []
            for number in range(rounds + 1):
                one_with = _round(app, mine, paths, pids)
                with _unguarded():
                    one_without = _round(app, mine, paths, pids)
                if number:
                    # The first round opens connections and fills caches.
                    with_both.append(one_with)
                    without.append(one_without)
        finally:
            app.database.close()
        added = [both - bare for both, bare in zip(with_both, without, strict=True)]
        say(f"decision and audit: {median(added):.0f} us of {median(with_both):.0f} us")
        return {
            "allowed": ALLOWED,
            "reads": READS,
            "with_us": [round(value, 1) for value in with_both],
            "without_us": [round(value, 1) for value in without],
            "added_us": [round(value, 1) for value in added],
            "machine": machine.describe(one.postgres.owner_url),
        }


def _fill(app: FhirServer, access_token: str) -> list[str]:
    """Write the doctor and the patients; answers where the patients are."""
    headers = {"Authorization": f"Bearer {access_token}"}
    base = f"/t/{SLUG}/fhir"
    client = app.test_client()
    client.put(f"{base}/Practitioner/doctor", json={"resourceType": "Practitioner", "id": "doctor"}, headers=headers)
    for number in range(PATIENTS):
        patient = {
            "resourceType": "Patient", "id": f"p{number}", "name": [{"family": "Bench", "given": ["A", "B"]}],
            "birthDate": "1980-05-31", "generalPractitioner": [{"reference": DOCTOR}],
        }  # fmt: skip
        answer = client.put(f"{base}/Patient/p{number}", json=patient, headers=headers)
        if answer.status_code != 201:
            raise RuntimeError(f"a patient could not be written: {answer.status_code}")
    return [f"{base}/Patient/p{number}" for number in range(PATIENTS)]


@contextmanager
def _unguarded() -> Iterator[None]:
    """No decision and no audit, for what is left without them."""
    with (
        mock.patch.object(context, "decide", return_value=EVERYTHING),
        mock.patch.object(Auditing, "begin", return_value=None),
    ):
        yield


def _round(app: FhirServer, access_token: str, paths: Sequence[str], pids: Sequence[int]) -> float:
    """CPU microseconds of a read, everything counted that belongs to it until its record is stored."""
    environ = {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "HTTP_HOST": "localhost:8080",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Bearer {access_token}",
        "wsgi.url_scheme": "http",
    }
    seen: set[str] = set()
    before = nanoseconds(pids)
    for number in range(READS):
        app.wsgi_app(environ | {"PATH_INFO": paths[number % len(paths)]}, lambda status, _: seen.add(status))
    app.trail.flush()
    spent = nanoseconds(pids) - before
    if seen != {"200 OK"}:
        raise RuntimeError(f"reads were answered with {', '.join(sorted(seen))}")
    return spent / READS / 1000
