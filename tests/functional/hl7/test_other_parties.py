"""Our listener and our sender with those of hl7apy. https://crs4.github.io/hl7apy/tutorial/index.html#mllp-server"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from hl7_gateway.wire.client import Sender
from tests.functional.hl7.test_client import HOST, listening, message, receiver


class _Handler(AbstractHandler):
    def reply(self) -> str:
        received = parse_message(self.incoming_message, find_groups=False)
        control_id = received.msh.msh_10.value
        text = f"MSH|^~\\&|THEIRS||||1||ACK|1|P|2.5.1\rMSA|AA|{control_id}\r"
        return f"\x0b{text}\x1c\r"


@pytest.fixture
def server() -> Iterator[int]:
    theirs = MLLPServer(HOST, 0, {"ADT^A04": (_Handler,)})
    thread = threading.Thread(target=theirs.serve_forever)
    thread.start()
    yield theirs.server_address[1]
    theirs.shutdown()
    theirs.server_close()
    thread.join(5)


def test_their_server_answers_our_sender(server: int) -> None:
    async def scenario() -> None:
        async with Sender(HOST, server, timeout=10) as sender:
            for control_id in ("1", "2"):
                answer = await sender.send(message(control_id))
                assert answer is not None
                assert (answer.code, answer.control_id) == ("AA", control_id)

    asyncio.run(scenario())


def test_a_plain_socket_is_answered_by_our_listener() -> None:
    with listening(receiver) as port, socket.create_connection((HOST, port), timeout=10) as plain:
        for control_id in ("1", "2"):
            plain.sendall(b"\x0b" + message(control_id) + b"\x1c\r")
            received = b""
            while not received.endswith(b"\x1c\r"):
                received += plain.recv(100)
            parsed = parse_message(received[1:-2].decode(), find_groups=False)
            assert (parsed.msa.msa_1.value, parsed.msa.msa_2.value) == ("AA", control_id)
