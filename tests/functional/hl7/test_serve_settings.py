"""The gateway as a process with its settings: ports of different kinds, and somebody who is told. docs/hl7.md"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.wire import client, tls
from tests.functional.hl7.certificates import Authority
from tests.functional.hl7.gateway import message
from tests.functional.hl7.test_serve import Process, insist, own, run, until
from tests.functional.hl7.ward import Ward
from tests.functional.running import free_port
from tests.unit.authn.https_servers import answering, serving


def test_a_port_with_mutual_tls_beside_a_plain_one_and_an_alert_that_is_posted(
    database: DatabaseUrls, app_database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    ward = Ward(app_database, tenant, application=f"T{tenant.id}")
    # It needs somebody from the start: a number that tells no patients apart.
    ward.keep(message("0").replace(b"|EPIC|", f"|T{tenant.id}|".encode()).replace(b"HOSP^MR", b"HOSP^SS"))
    ward.work()
    authority = Authority(tmp_path, "hospital")
    gateway, lab = authority.issue("gateway"), authority.issue("lab")
    mutual = free_port()
    files = f"certificate={gateway.certificate};key={gateway.key};ca={authority.certificate}"
    with serving(answering(b""), None) as receiver:
        process = Process(
            database,
            tmp_path / "log",
            MLLP_PORTS=f"{mutual}+mtls;{files}",
            MLLP_ALERT_URL=f"http://127.0.0.1:{receiver.port}/hook?key=secret",
            OUTBOUND_ALLOW="127.0.0.1",
        )
        process.start()

        def posted() -> list[str]:
            told = [json.loads(body) for _, _, _, body in receiver.requests]
            return [one["text"] for one in told if one["clinic"] == tenant.slug]

        async def scenario() -> None:
            assert (await insist(process.port, own(ward, "1", "A01", "123"))).code == "AA"
            context = tls.client(authority.certificate, lab.certificate, lab.key)
            async with client.Sender("127.0.0.1", mutual, tls=context) as sender:
                assert (await insist(mutual, own(ward, "2", "A01", "456"), sender)).code == "AA"
            await until(lambda: ward.encounters() == {"V123": "in-progress", "V456": "in-progress"})
            await until(lambda: bool(posted()))
            assert await asyncio.to_thread(process.stop) == 0

        try:
            run(scenario())
        finally:
            if process.process is not None and process.process.poll() is None:
                process.kill()
    assert posted() == [f"{tenant.slug}/lab: dead letters that somebody must look at: 1"]
    assert "secret" not in process.log
