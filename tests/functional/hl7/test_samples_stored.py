"""Every sample message through the whole gateway: taken as its type says, and stored. docs/hl7.md"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.registry import SUPPORTED
from hl7_gateway.message import Message
from hl7_gateway.wire.client import Sender
from tests.functional.hl7.gateway import HOST, Gateway, message
from tests.functional.hl7.ward import worker_of

SAMPLES = sorted((Path(__file__).parents[4] / "shared/data/hl7v2").glob("*.hl7"))


def run(gateway: Gateway, raws: list[bytes]) -> list[str]:
    """Send messages one after another; the codes of the answers, "" where none is wanted."""

    async def scenario() -> list[str]:
        async with asyncio.timeout(60), gateway.serving():
            assert gateway.listener is not None
            async with Sender(HOST, gateway.listener.port, timeout=5) as sender:
                answers = [await sender.send(raw) for raw in raws]
                # The last one may want no answer: one that does comes after it.
                await sender.send(message("last", "Z99"))
            return ["" if answer is None else answer.code for answer in answers]

    return asyncio.run(scenario())


@pytest.mark.skipif(not SAMPLES, reason="the sample messages are not here")
def test_samples_are_accepted_and_stored_without_a_defect(app_database: Database, tenant: Tenant) -> None:
    gateway = Gateway(app_database, tenant)
    raws = [path.read_bytes() for path in SAMPLES]
    codes = dict(zip((path.name for path in SAMPLES), run(gateway, raws), strict=True))
    kinds = {path.name: Message(raw.decode("utf-8", "replace")) for path, raw in zip(SAMPLES, raws, strict=True)}
    assert all(one.event in SUPPORTED[one.message_type] for one in kinds.values())
    # "": one that wants no answer.
    assert set(codes.values()) <= {"AA", "CA", ""}, {name: code for name, code in codes.items() if code[:1] == "A"}
    worker = worker_of(gateway)
    while worker.once(tenant.id):
        pass
    found = [one for one in gateway.found() if one.control_id != "last"]
    assert len(found) == len({path.read_bytes() for path in SAMPLES})
    assert [(one.control_id, one.problem) for one in found if one.state != "stored"] == []


ODD = message("1")


@pytest.mark.parametrize(
    "raw",
    [
        ODD.replace(b"\r", b"\n"),
        ODD.replace(b"\r", b"\r\n"),
        ODD.replace(b"|", b":").replace(b"^", b";"),
        ODD.replace(b"^~\\&", b"^~\\&#"),
        ODD.replace(b"2.5.1", b"2.1"),
        ODD.replace(b"2.5.1", b""),
        ODD.replace(b"PV1|", b"ZPI|1|own\rPV1|"),
        b"\xef\xbb\xbf" + ODD,
        ODD.decode().encode("utf-16"),
    ],
    ids=["LF", "CRLF", "delimiters", "truncation", "2.1", "no version", "Z segment", "mark", "UTF-16"],
)
def test_a_message_that_is_written_in_an_odd_way_is_stored(app_database: Database, tenant: Tenant, raw: bytes) -> None:
    gateway = Gateway(app_database, tenant)
    assert run(gateway, [raw]) == ["AA"]
    assert worker_of(gateway).once(tenant.id) == 1
    found, _ = gateway.found()
    assert (found.state, found.control_id) == ("stored", "1")
    assert gateway.whole(found.id).raw == raw
    assert len(gateway.whole(found.id).patients) == 1
