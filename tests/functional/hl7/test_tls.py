"""TLS and mutual TLS on real sockets. https://www.rfc-editor.org/rfc/rfc9325"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from ipaddress import ip_network
from pathlib import Path

import pytest

from hl7_gateway.wire import tls
from hl7_gateway.wire.listener import Listener
from hl7_gateway.wire.mllp import frame
from hl7_gateway.wire.peer import Peer
from tests.functional.hl7.certificates import Authority, Issued

HOST = "127.0.0.1"


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


async def exchange(listener: Listener, context: ssl.SSLContext | None, payload: bytes = b"one") -> bytes:
    reader, writer = await asyncio.open_connection(HOST, listener.port, ssl=context, limit=10**7)
    writer.write(frame(payload))
    answer = await reader.readuntil(b"\x1c\r")
    writer.close()
    return answer


async def echo(peer: Peer, payload: bytes) -> bytes:
    return payload


def test_a_message_over_tls(hospital: Authority, server: Issued) -> None:
    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, tls=tls.context(server.certificate, server.key)) as listener:
            large = b"x" * 1_000_000
            assert await exchange(listener, tls.client(hospital.certificate), large) == frame(large)

    run(scenario())


def test_mutual_tls_tells_who_sends(hospital: Authority, server: Issued, lab: Issued) -> None:
    seen: list[Peer] = []

    async def handler(peer: Peer, payload: bytes) -> bytes:
        seen.append(peer)
        return payload

    async def scenario() -> None:
        context = tls.context(server.certificate, server.key, hospital.certificate)
        async with Listener(HOST, 0, handler=handler, tls=context) as listener:
            sender = tls.client(hospital.certificate, lab.certificate, lab.key)
            assert await exchange(listener, sender) == frame(b"one")
        assert [(peer.certificate, peer.subject) for peer in seen] == [(lab.fingerprint, "commonName=lab")]

    run(scenario())


def test_without_a_certificate_or_with_one_of_another_authority_nobody_gets_in(
    hospital: Authority, server: Issued, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "elsewhere").issue("lab")

    async def scenario() -> None:
        context = tls.context(server.certificate, server.key, hospital.certificate)
        async with Listener(HOST, 0, handler=echo, tls=context) as listener:
            for sender in (
                tls.client(hospital.certificate),
                tls.client(hospital.certificate, stranger.certificate, stranger.key),
            ):
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await exchange(listener, sender)

    run(scenario())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_sender_without_tls_or_with_an_old_one_is_let_go(hospital: Authority, server: Issued) -> None:
    old = tls.client(hospital.certificate)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def scenario() -> None:
        async with Listener(HOST, 0, handler=echo, tls=tls.context(server.certificate, server.key)) as listener:
            for context in (None, old):
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await exchange(listener, context)
            assert await exchange(listener, tls.client(hospital.certificate)) == frame(b"one")

    run(scenario())


def test_an_address_that_is_not_on_the_list_gets_no_handshake(hospital: Authority, server: Issued) -> None:
    async def scenario() -> None:
        context = tls.context(server.certificate, server.key)
        async with Listener(HOST, 0, handler=echo, tls=context, allowed=[ip_network("10.0.0.0/8")]) as listener:
            reader, writer = await asyncio.open_connection(HOST, listener.port)
            # A server that speaks TLS would wait for a hello; this one is gone at once.
            assert await reader.read() == b""
            writer.close()

    run(scenario())


def test_closing_does_not_wait_for_a_handshake_for_ever(server: Issued) -> None:
    async def scenario() -> None:
        listener = Listener(HOST, 0, handler=echo, tls=tls.context(server.certificate, server.key))
        await listener.start()
        _, writer = await asyncio.open_connection(HOST, listener.port)
        await asyncio.sleep(0.05)
        await listener.close(grace=0.1)
        writer.close()

    run(scenario())
