"""Senders of every kind on real sockets. https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_network

import pytest

from hl7_gateway.message import Message
from hl7_gateway.wire.listener import Listener
from hl7_gateway.wire.mllp import Frame, Frames, frame
from hl7_gateway.wire.peer import Peer

HOST = "127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(peer: Peer, payload: bytes) -> bytes:
    return payload


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


async def connect(listener: Listener) -> Streams:
    return await asyncio.open_connection(HOST, listener.port)


async def answers(reader: asyncio.StreamReader, count: int) -> list[bytes]:
    """The next ``count`` messages, or those that come before the connection ends."""
    frames = Frames(10**9)
    found: list[bytes] = []
    while len(found) < count:
        try:
            data = await reader.read(1_000)
        except ConnectionError:
            return found
        if not data:
            return found
        found += [event.payload for event in frames.feed(data) if isinstance(event, Frame)]
    return found


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_two_frames_in_one_packet_then_one_byte_at_a_time_then_garbage() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo) as listener:
            reader, writer = await connect(listener)
            writer.write(frame(b"one") + frame(b"two"))
            assert await answers(reader, 2) == [b"one", b"two"]
            for octet in frame(b"three"):
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(0.001)
            assert await answers(reader, 1) == [b"three"]
            writer.write(b"\r\ngarbage\r\n" + frame(b"four"))
            assert await answers(reader, 1) == [b"four"]
            writer.write(b"\x0bfive\x1c")
            assert await answers(reader, 1) == [b"five"]
            writer.write(frame(b"six"))
            assert await answers(reader, 1) == [b"six"]
            writer.write(b"\x0blost" + frame(b"seven"))
            assert await answers(reader, 1) == [b"seven"]
            large = b"x" * 5_000_000
            writer.write(frame(large))
            assert await answers(reader, 1) == [large]
            writer.close()

    run(scenario())


def test_answers_keep_the_order_of_the_frames_though_they_are_ready_in_another() -> None:
    started: list[bytes] = []

    async def slow_first(peer: Peer, payload: bytes) -> bytes:
        started.append(payload)
        await asyncio.sleep(0.05 / int(payload))
        return payload

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=slow_first, pipeline=8) as listener:
            reader, writer = await connect(listener)
            sent = [str(number).encode() for number in range(1, 40)]
            writer.write(b"".join(map(frame, sent)))
            assert await answers(reader, len(sent)) == sent
            assert started == sent
            writer.close()

    run(scenario())


@pytest.mark.parametrize(("pipeline", "queue"), [(3, 100), (100, 3), (1, 1)])
def test_no_more_is_open_than_allowed_and_the_socket_is_not_read_on(pipeline: int, queue: int) -> None:
    open_now, most = 0, 0

    async def scenario() -> None:
        nonlocal open_now, most
        go = asyncio.Event()

        async def handler(peer: Peer, payload: bytes) -> bytes:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            await go.wait()
            open_now -= 1
            return payload[:10]

        async with Listener(HOST, 0, handler=handler, pipeline=pipeline, queue=queue) as listener:
            reader, writer = await connect(listener)
            sending = asyncio.create_task(flood(writer))
            await until(lambda: open_now == min(pipeline, queue))
            await asyncio.sleep(0.1)
            assert open_now == min(pipeline, queue)
            if pipeline <= 3:
                # Nobody reads, so that sending comes to a halt.
                assert not sending.done()
            go.set()
            assert len(await answers(reader, 200)) == 200
            await sending
            assert most == min(pipeline, queue)
            writer.close()

    async def flood(writer: asyncio.StreamWriter) -> None:
        for _ in range(200):
            writer.write(frame(b"x" * 100_000))
            await writer.drain()

    run(scenario())


def test_a_frame_that_is_too_large_is_refused_and_the_next_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, limit=1_000) as listener:
            reader, writer = await connect(listener)
            header = b"MSH|^~\\&|LAB|RIVERSIDE|EHR||1||ORU^R01^ORU_R01|55|P|2.5.1\r"
            writer.write(frame(header + b"OBX|1|TX|SMITH" * 100) + frame(b"next"))
            refused, taken = await answers(reader, 2)
            answer = Message(refused.decode())
            assert [segment.raw for segment in answer][1] == "MSA|AR|55"
            assert answer.segments[2].text(3) == "207"
            assert taken == b"next"
            writer.close()

    run(scenario())
    assert "SMITH" not in caplog.text


def test_who_sends_no_frames_is_cut_off() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, limit=1_000) as listener:
            reader, writer = await connect(listener)
            writer.write(b"x" * 3_000_000)
            assert await answers(reader, 1) == []
            reader, writer = await connect(listener)
            writer.write(b"\x0b" + b"x" * 3_000_000)
            assert await answers(reader, 1) == []

    run(scenario())


def test_a_handler_that_fails_gives_no_answer_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(peer: Peer, payload: bytes) -> bytes | None:
        if payload == b"bad":
            raise LookupError("of this kind")
        return payload

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=handler) as listener:
            other_reader, other_writer = await connect(listener)
            reader, writer = await connect(listener)
            writer.write(frame(b"good") + frame(b"bad") + frame(b"after"))
            assert await answers(reader, 3) == [b"good"]
            other_writer.write(frame(b"good"))
            assert await answers(other_reader, 1) == [b"good"]
            other_writer.close()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert [record.message for record in caplog.records if record.name.startswith("hl7_gateway")] == [
        "a message was not taken"
    ]


def test_no_answer_where_none_is_wanted_and_two_where_two_are() -> None:
    async def handler(peer: Peer, payload: bytes) -> bytes | None:
        if payload == b"quiet":
            return None
        peer.send(b"CA " + payload)
        await asyncio.sleep(0.01)
        return b"AA " + payload

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=handler) as listener:
            reader, writer = await connect(listener)
            writer.write(frame(b"quiet") + frame(b"1"))
            assert await answers(reader, 2) == [b"CA 1", b"AA 1"]
            writer.close()

    run(scenario())


def test_closing_answers_what_was_read_and_lets_nobody_in() -> None:
    async def scenario() -> None:
        entered = asyncio.Event()

        async def handler(peer: Peer, payload: bytes) -> bytes:
            entered.set()
            await asyncio.sleep(0.1)
            return payload

        listener = Listener(HOST, 0, handler=handler)
        await listener.start()
        port = listener.port
        reader, writer = await connect(listener)
        writer.write(frame(b"one") + frame(b"two") + b"\x0bunfinished")
        await entered.wait()
        closing = asyncio.create_task(listener.close())
        assert await answers(reader, 3) == [b"one", b"two"]
        await closing
        assert listener.connections == 0
        with pytest.raises(OSError):
            await asyncio.open_connection(HOST, port)
        writer.close()

    run(scenario())


def test_closing_waits_no_longer_than_it_is_told() -> None:
    async def scenario() -> None:
        entered = asyncio.Event()
        cancelled = False

        async def handler(peer: Peer, payload: bytes) -> bytes:
            nonlocal cancelled
            entered.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled = True
                raise
            return payload

        listener = Listener(HOST, 0, handler=handler)
        await listener.start()
        reader, writer = await connect(listener)
        writer.write(frame(b"one"))
        await entered.wait()
        await listener.close(grace=0.05)
        assert await answers(reader, 1) == []
        await until(lambda: cancelled)
        writer.close()

    run(scenario())


def test_the_address_list() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, allowed=[ip_network("10.0.0.0/8")]) as listener:
            reader, writer = await connect(listener)
            writer.write(frame(b"one"))
            assert await answers(reader, 1) == []
        async with Listener(HOST, 0, handler=echo, allowed=[ip_network("127.0.0.0/8")]) as listener:
            reader, writer = await connect(listener)
            writer.write(frame(b"one"))
            assert await answers(reader, 1) == [b"one"]
            writer.close()

    run(scenario())


def test_as_many_senders_as_allowed() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, connections=2) as listener:
            kept = [await connect(listener) for _ in range(2)]
            for _, open_writer in kept:
                # Who is about something does not make room for others.
                open_writer.write(b"\x0bbegun")
            await until(lambda: listener.connections == 2 and listener.unfinished == 10)
            reader, writer = await connect(listener)
            assert await reader.read() == b""
            for _, open_writer in kept:
                open_writer.close()
            await until(lambda: listener.connections == 0)
            reader, writer = await connect(listener)
            writer.write(frame(b"one"))
            assert await answers(reader, 1) == [b"one"]
            writer.close()

    run(scenario())


def test_an_idle_connection_is_closed_but_not_one_that_waits_for_us() -> None:
    async def slow(peer: Peer, payload: bytes) -> bytes:
        await asyncio.sleep(0.3)
        return payload

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=slow, idle=0.05, stalled=0.1) as listener:
            reader, writer = await connect(listener)
            writer.write(frame(b"one"))
            assert await answers(reader, 2) == [b"one"]
            reader, writer = await connect(listener)
            writer.write(b"\x0bunfinished")
            assert await reader.read() == b""

    run(scenario())


def test_a_sender_that_does_not_read_its_answers_is_let_go() -> None:
    async def large(peer: Peer, payload: bytes) -> bytes:
        return b"x" * 4_000_000

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=large, stalled=0.2) as listener:
            lazy = socket.create_connection((HOST, listener.port))
            lazy.sendall(frame(b"one") * 8)
            await until(lambda: listener.connections == 1)
            await until(lambda: listener.connections == 0)
            assert listener.depth == 0
            lazy.close()

    run(scenario())


def test_a_sender_that_ends_its_half_still_gets_its_answers() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo) as listener:
            reader, writer = await connect(listener)
            writer.write(frame(b"one") + frame(b"two"))
            writer.write_eof()
            assert await answers(reader, 3) == [b"one", b"two"]
            writer.close()

    run(scenario())


def test_sixty_four_senders_at_once() -> None:
    async def one(listener: Listener, number: int) -> None:
        reader, writer = await connect(listener)
        sent = [f"{number}-{index}".encode() for index in range(20)]
        for payload in sent[:5]:
            writer.write(frame(payload))
            assert await answers(reader, 1) == [payload]
        writer.write(b"".join(map(frame, sent[5:])))
        assert await answers(reader, 15) == sent[5:]
        writer.close()

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo) as listener:
            await asyncio.gather(*(one(listener, number) for number in range(64)))
            await until(lambda: listener.connections == 0)

    run(scenario())


def test_peers_are_told_by_their_address() -> None:
    seen: list[Peer] = []

    async def handler(peer: Peer, payload: bytes) -> bytes:
        seen.append(peer)
        return payload

    async def scenario() -> None:
        async with Listener("::1", 0, handler=handler, allowed=[ip_network("::1/128")]) as listener:
            reader, writer = await asyncio.open_connection("::1", listener.port)
            writer.write(frame(b"one"))
            assert await answers(reader, 1) == [b"one"]
            port = writer.get_extra_info("sockname")[1]
            writer.close()
            assert seen == [Peer("::1", port)]

    run(scenario())
