"""More senders, and more of them at once, than a port has room for. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import asyncio
import tracemalloc

from hl7_gateway.wire.listener import Listener
from hl7_gateway.wire.mllp import frame
from hl7_gateway.wire.peer import Peer
from tests.functional.hl7.test_listener import HOST, Streams, answers, connect, echo, run, until


async def connect_from(address: str, listener: Listener) -> Streams:
    return await asyncio.open_connection(HOST, listener.port, local_addr=(address, 0))


async def later(address: str, listener: Listener) -> Streams:
    """A connection that is younger than the others, also where an event loop's clock tells milliseconds."""
    before = listener.connections
    found = await connect_from(address, listener)
    await until(lambda: listener.connections > before)
    await asyncio.sleep(0.005)
    return found


async def said(streams: Streams, payload: bytes) -> list[bytes]:
    reader, writer = streams
    writer.write(frame(payload))
    return await answers(reader, 1)


def test_who_has_most_connections_loses_the_one_that_is_idle_for_longest() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, connections=4) as listener:
            # One that leaves its connections open, and opens another for each message.
            leaking, other = [await later("127.0.0.1", listener) for _ in range(3)], await later("127.0.0.2", listener)
            assert await said(leaking[0], b"one") == [b"one"]
            late = await connect_from("127.0.0.2", listener)
            assert await said(late, b"two") == [b"two"]
            assert await leaking[1][0].read() == b""
            again = await connect_from("127.0.0.1", listener)
            assert await said(again, b"three") == [b"three"]
            assert await leaking[2][0].read() == b""
            assert [await said(one, b"four") for one in (leaking[0], other, late, again)] == [[b"four"]] * 4
            assert listener.connections == 4

    run(scenario())


def test_nobody_who_is_about_something_makes_room() -> None:
    go = asyncio.Event()

    async def handler(peer: Peer, payload: bytes) -> bytes:
        await go.wait()
        return payload

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=handler, connections=2) as listener:
            waits, begins = await connect(listener), await connect(listener)
            waits[1].write(frame(b"one"))
            begins[1].write(b"\x0btw")
            await until(lambda: listener.depth == 1 and listener.unfinished == 2)
            refused = await connect(listener)
            assert await refused[0].read() == b""
            go.set()
            begins[1].write(b"o\x1c\r")
            assert await answers(waits[0], 1) == [b"one"]
            assert await answers(begins[0], 1) == [b"two"]

    run(scenario())


def test_frames_without_an_end_do_not_fill_the_memory() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, unfinished=1_000_000) as listener:
            slow = await connect(listener)
            slow[1].write(b"\x0b" + b"s" * 400_000)
            await until(lambda: listener.unfinished == 400_000)
            await asyncio.sleep(0.1)
            quick = await connect(listener)
            quick[1].write(b"\x0b" + b"q" * 500_000)
            await until(lambda: listener.unfinished == 900_000)
            quick[1].write(b"q" * 200_000)
            # The slowest is let go, without an answer: it sends its message again.
            assert await answers(slow[0], 1) == []
            assert listener.unfinished <= 1_000_000
            quick[1].write(b"\x1c\r")
            assert await answers(quick[0], 1) == [b"q" * 700_000]
            await until(lambda: listener.unfinished == 0)

    run(scenario())


def test_tiny_frames_are_cut_as_they_are_handed_on() -> None:
    go = asyncio.Event()
    count = 50_000

    async def handler(peer: Peer, payload: bytes) -> bytes:
        await go.wait()
        return payload

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=handler, pipeline=4) as listener:
            reader, writer = await connect(listener)
            many = b"\x0bM\x1c\r" * count
            tracemalloc.start()
            writer.write(many)
            await until(lambda: listener.depth == 4)
            await asyncio.sleep(0.1)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 5 * len(many)
            writer.write(frame(b"last"))
            writer.write_eof()
            go.set()
            assert await answers(reader, count + 1) == [b"M"] * count + [b"last"]

    run(scenario())
