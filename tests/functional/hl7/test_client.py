"""Messages sent to receivers that answer well, badly, late, or not at all.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.9 Message processing rules"
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from hl7_gateway.commands.send import send as command
from hl7_gateway.message import Message
from hl7_gateway.problems import Malformed, Place, Refused
from hl7_gateway.wire import tls
from hl7_gateway.wire.acknowledgment import acknowledge
from hl7_gateway.wire.checks import check
from hl7_gateway.wire.client import Answer, Complaint, Sender, Unanswered, read, send
from hl7_gateway.wire.listener import Listener
from hl7_gateway.wire.mllp import frame
from hl7_gateway.wire.peer import Peer
from tests.functional.hl7.certificates import Authority

HOST = "127.0.0.1"
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def message(control_id: str, pid: str = "PID|1||1^^^RIVERSIDE^MR", extra: str = "", version: str = "2.5.1") -> bytes:
    return f"MSH|^~\\&|LAB|RIVERSIDE|||1||ADT^A04|{control_id}|P|{version}{extra}\r{pid}\r".encode()


async def receiver(peer: Peer, payload: bytes) -> bytes:
    """Accepts what the checks accept."""
    received = Message(payload.decode())
    try:
        check(received)
    except Refused as refused:
        return acknowledge(received, "AE" if refused.acknowledgment == "AE" else "AR", "R1", [refused], NOW)
    return acknowledge(received, "AA", "R1", [], NOW)


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


@contextmanager
def listening(
    handler: Callable[[Peer, bytes], Awaitable[bytes | None]], port: int = 0, **options: object
) -> Iterator[int]:
    """A listener in a thread of its own, for what is not asynchronous."""
    loop = asyncio.new_event_loop()
    listener = Listener(HOST, port, handler=handler, **options)  # type: ignore[arg-type]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(listener.start(), loop).result(10)
    try:
        yield listener.port
    finally:
        asyncio.run_coroutine_threadsafe(listener.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.mark.parametrize("version", ["2.2", "2.3.1", "2.5.1", "2.8"])
def test_what_the_receiver_says_comes_back(version: str) -> None:
    bad = message("2", "PID|1||1\rPID|2", version=version)
    with listening(receiver) as port:
        accepted, refused = send(HOST, port, [message("1"), bad], timeout=10)
    assert accepted == Answer("AA", "1", "", ())
    assert accepted.accepted
    assert refused is not None
    assert (refused.code, refused.control_id, refused.accepted) == ("AE", "2", False)
    (complaint,) = refused.complaints
    assert (complaint.code, complaint.place) == ("101", "PID[2]-3")
    assert "identifier" in complaint.said + refused.said


def test_places_as_they_were_sent() -> None:
    for place in (Place("PID"), Place("OBX", 3, 5, 2, 1, 4), Place("PID", 1, 3, 1, 1), Place("MSH", field=12)):
        raw = acknowledge(message("1"), "AE", "R1", [Refused(102, "AE", place, "a|b")], NOW)
        assert read(raw).complaints == (Complaint("102", str(place), "a|b"),)


def test_answers_of_messages_before_are_left_aside() -> None:
    async def late(peer: Peer, payload: bytes) -> bytes:
        peer.send(acknowledge(message("0"), "AE", "R0", [], NOW))
        return await receiver(peer, payload)

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=late) as listener, Sender(HOST, listener.port, timeout=10) as sender:
            for control_id in ("1", "2", "3"):
                answer = await sender.send(message(control_id))
                assert answer is not None
                assert (answer.code, answer.control_id) == ("AA", control_id)

    run(scenario())


@pytest.mark.parametrize(
    ("conditions", "answers", "expected"),
    [
        ("|||AL|AL", ["CA", "AA"], "AA"),
        ("|||AL|AL", ["CA", "AE"], "AE"),
        ("|||AL|AL", ["CR"], "CR"),
        ("|||AL|NE", ["CA"], "CA"),
        ("|||NE|AL", ["AA"], "AA"),
        ("|||NE|NE", [], None),
        ("|||NE|ER", [], None),
        ("|||NE|ER", ["AE"], "AE"),
    ],
)
def test_the_enhanced_mode(conditions: str, answers: list[str], expected: str | None) -> None:
    async def handler(peer: Peer, payload: bytes) -> None:
        for code in answers:
            peer.send(acknowledge(payload, code, "R1", [], NOW))  # type: ignore[arg-type]

    async def scenario() -> None:
        # Only an answer that must not come is waited for in vain.
        seconds = 10.0 if answers else 0.3
        async with (
            Listener(HOST, 0, handler=handler) as listener,
            Sender(HOST, listener.port, timeout=seconds) as sender,
        ):
            answer = await sender.send(message("1", extra=conditions))
            assert (answer and answer.code) == expected

    run(scenario())


def test_a_connection_that_was_closed_is_made_again() -> None:
    async def scenario() -> None:
        async with (
            Listener(HOST, 0, handler=receiver, idle=0.05) as listener,
            Sender(HOST, listener.port, timeout=10) as sender,
        ):
            for control_id in ("1", "2"):
                answer = await sender.send(message(control_id))
                assert answer is not None
                assert answer.accepted
                while listener.connections:
                    await asyncio.sleep(0.01)

    run(scenario())


def test_no_receiver_none_that_answers_and_one_that_answers_something_else() -> None:
    async def silent(peer: Peer, payload: bytes) -> None:
        return None

    async def failing(peer: Peer, payload: bytes) -> None:
        raise LookupError

    async def other(peer: Peer, payload: bytes) -> bytes:
        return b"hello"

    async def no_msa(peer: Peer, payload: bytes) -> bytes:
        return payload

    async def attempt(handler: Callable[[Peer, bytes], Awaitable[bytes | None]]) -> None:
        seconds = 0.1 if handler is silent or handler is failing else 10.0
        async with (
            Listener(HOST, 0, handler=handler) as listener,
            Sender(HOST, listener.port, timeout=seconds) as sender,
        ):
            await sender.send(message("1"))

    async def scenario() -> None:
        for handler, expected in ((silent, Unanswered), (failing, Unanswered), (other, Malformed), (no_msa, Malformed)):
            with pytest.raises(expected):
                await attempt(handler)
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            async with Sender(HOST, taken.getsockname()[1], timeout=1) as sender:
                with pytest.raises(ConnectionRefusedError):
                    await sender.send(message("1"))

    run(scenario())


def test_many_messages_over_one_connection_at_once() -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=receiver) as listener, Sender(HOST, listener.port, timeout=10) as sender:
            found = await asyncio.gather(*(sender.send(message(str(number))) for number in range(50)))
            assert [answer and answer.control_id for answer in found] == [str(number) for number in range(50)]
            assert listener.connections == 1

    run(scenario())


def test_the_command_tells_what_is_answered(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.hl7", tmp_path / "bad.hl7"
    good.write_bytes(b"\xef\xbb\xbf" + (message("1") + message("2")).replace(b"\r", b"\r\n"))
    bad.write_bytes(frame(message("3", "PV1||I")) + frame(message("4")))
    with listening(receiver) as port:
        result = CliRunner().invoke(command, ["--port", str(port), str(good)])
        assert (result.exit_code, result.output) == (0, "good.hl7: 1 AA\ngood.hl7: 2 AA\n")
        result = CliRunner().invoke(command, ["--port", str(port), str(bad)])
        assert result.exit_code == 1
        assert result.output == "bad.hl7: 3 AE 101 PID the segment is required\nbad.hl7: 4 AA\n"
        empty = tmp_path / "empty.hl7"
        empty.write_text("no message")
        result = CliRunner().invoke(command, ["--port", str(port), str(empty), str(good)])
        assert result.exit_code == 1
        assert "good.hl7: 2 AA" in result.output
        assert "There is no message in this file" in result.stderr
    result = CliRunner().invoke(command, ["--port", str(port), str(good)])
    assert result.exit_code == 1
    assert "Connect call failed" in result.stderr or "refused" in result.stderr


def test_the_command_over_mutual_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "hospital")
    gateway, lab = authority.issue("gateway"), authority.issue("lab")
    file = tmp_path / "one.hl7"
    file.write_bytes(message("1"))
    context = tls.context(gateway.certificate, gateway.key, authority.certificate)
    with listening(receiver, tls=context) as port:
        own = ["--certificate", str(lab.certificate), "--key", str(lab.key)]
        arguments = ["--port", str(port), "--ca", str(authority.certificate)]
        assert CliRunner().invoke(command, [*arguments, *own, str(file)]).output == "one.hl7: 1 AA\n"
        assert CliRunner().invoke(command, [*arguments, str(file)]).exit_code == 1
        assert CliRunner().invoke(command, ["--port", str(port), "--tls", str(file)]).exit_code == 1
