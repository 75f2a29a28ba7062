"""Ports that are opened and closed as feeds come and go. docs/hl7.md, "Feeds" """

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any

from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.feed import Feed, parse
from hl7_gateway.ports import Ports
from hl7_gateway.wire.connection import Handler
from hl7_gateway.wire.mllp import frame
from hl7_gateway.wire.peer import Peer

HOST = "127.0.0.1"


def feed(**configuration: Any) -> Feed:
    return parse(FeedRow(1, "riverside", 1, "lab", False, 0, configuration))


def free() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def named(port: int) -> Handler:
    async def handler(peer: Peer, raw: bytes) -> bytes:
        return f"{port}".encode()

    return handler


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(frame(b"?"))
    answer = await reader.readuntil(b"\x1c\r")
    writer.close()
    return answer.strip(b"\x0b\x1c\r")


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


def test_each_port_is_listened_on_as_long_as_a_feed_wants_it() -> None:
    own, other = free(), free()

    async def scenario() -> None:
        ports = Ports(HOST, own, named)
        await ports.follow([feed(port=other), feed()])
        assert ports.open == tuple(sorted((own, other)))
        assert [await ask(own), await ask(other)] == [str(own).encode(), str(other).encode()]
        await ports.follow([feed()])
        assert ports.open == (own,)
        await ports.close(1)
        assert ports.open == ()

    run(scenario())


def test_without_a_port_of_its_own_the_gateway_has_those_of_feeds() -> None:
    other = free()

    async def scenario() -> None:
        ports = Ports(HOST, 0, named)
        await ports.follow([feed(), feed(port=other)])
        assert ports.open == (other,)
        await ports.close(1)

    run(scenario())


def test_a_port_that_is_taken_keeps_nobody_from_the_others_and_is_tried_again() -> None:
    own, other = free(), free()

    async def scenario() -> None:
        ports = Ports(HOST, own, named)
        with socket.create_server((HOST, other)):
            await ports.follow([feed(port=other)])
            assert ports.open == (own,)
        for _ in range(11):
            await ports.follow([feed(port=other)])
        assert ports.open == tuple(sorted((own, other)))
        await ports.close(1)

    run(scenario())


def test_with_another_limit_a_port_is_opened_anew() -> None:
    own = free()

    async def scenario() -> None:
        ports = Ports(HOST, 0, named)
        await ports.follow([feed(port=own, limit=2_000)])
        await ports.follow([feed(port=own, limit=200_000)])
        reader, writer = await asyncio.open_connection(HOST, own)
        writer.write(frame(b"x" * 100_000))
        assert str(own).encode() in await reader.readuntil(b"\x1c\r")
        writer.close()
        await ports.close(1)

    run(scenario())
