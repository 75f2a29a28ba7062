"""`fhir-server up` has the gateway beside the web server. docs/hl7.md"""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg

from fhir_server.commands import demo_feed
from fhir_server.store import hl7_feeds, tenants
from fhir_server.store.database_urls import DatabaseUrls
from hl7_gateway.feed import parse
from hl7_gateway.feeds import recognise
from hl7_gateway.problems import Hl7Error
from hl7_gateway.reading import header
from hl7_gateway.wire.client import Answer, Sender
from hl7_gateway.wire.peer import Peer
from tests.functional.hl7.gateway import message
from tests.functional.running import PRODUCTION, free_port, left_over, running


def test_messages_are_answered_and_a_stop_stops_the_gateway_too(prepared: Path) -> None:
    mllp = free_port()

    async def ask() -> Answer | None:
        async with asyncio.timeout(60):
            while True:
                async with Sender("127.0.0.1", mllp) as sender:
                    try:
                        return await sender.send(message("1"))
                    except (OSError, Hl7Error):
                        await asyncio.sleep(0.1)

    with running("up", **PRODUCTION, DATA_DIR=str(prepared), MLLP_PORT=str(mllp)) as up:
        up.wait_for(lambda: f"HL7 v2: messages are taken on port {mllp}" in up.output)
        answer = asyncio.run(ask())
        assert answer is not None
        # Nobody has a feed yet.
        assert (answer.code, answer.complaints[0].code) == ("AR", "207")
        assert len(up.children("hl7_gateway")) == 1
        up.stop()
        assert up.process.returncode == 0
    assert left_over(prepared) == []


def test_without_a_port_there_is_no_gateway(prepared: Path) -> None:
    with running("up", **PRODUCTION, DATA_DIR=str(prepared), MLLP_PORT="0") as up:
        up.wait_for(lambda: "Ready" in up.output)
        assert "HL7" not in up.output
        assert up.children("hl7_gateway") == []
        up.stop()


def test_the_demo_has_a_feed_that_takes_any_sender_once(fresh_database: DatabaseUrls) -> None:
    assert fresh_database.owner is not None
    said: list[str] = []
    with psycopg.connect(fresh_database.owner, autocommit=True) as connection:
        demo_feed.seed(connection, said.append)
        assert said == []
        tenants.create(connection, "riverside")
        demo_feed.seed(connection, said.append)
        demo_feed.seed(connection, said.append)
        (row,) = hl7_feeds.listed(connection)
    assert said == ["Demo clinic riverside: a feed for HL7 v2"]
    feed = parse(row)
    assert (feed.slug, feed.mapping.zone) == ("riverside", "America/New_York")
    assert recognise([feed], Peer("192.0.2.1", 5), 2575, 2575, header(message("1"))) is feed
