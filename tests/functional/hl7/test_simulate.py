"""`hl7-gateway simulate` against a listener. docs/hl7.md"""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime
from itertools import islice

import pytest
from click.testing import CliRunner

from hl7_gateway.commands.simulate import simulate
from hl7_gateway.simulator.hospital import messages
from hl7_gateway.wire.peer import Peer
from tests.functional.hl7.test_client import listening, receiver


def test_the_story_arrives_in_order() -> None:
    received: list[bytes] = []

    async def keep(peer: Peer, payload: bytes) -> bytes:
        received.append(payload)
        return await receiver(peer, payload)

    with listening(keep) as port:
        arguments = ["--port", str(port), "--rate", "0", "--seed", "7", "--count", "60", "--beds", "9"]
        result = CliRunner().invoke(simulate, [*arguments, "--start", "2026-11-26"])
    assert result.exit_code == 0
    assert result.output.splitlines() == [f"A hospital of 9 beds sends to 127.0.0.1:{port}; its seed is 7.", "60 AA"]
    assert received == list(islice(messages(7, 9, datetime(2026, 11, 26, tzinfo=UTC)), 60))


def test_the_rate_is_kept() -> None:
    with listening(receiver) as port:
        began = time.monotonic()
        result = CliRunner().invoke(simulate, ["--port", str(port), "--rate", "50", "--count", "20"])
        taken = time.monotonic() - began
    assert result.exit_code == 0
    assert 0.35 < taken < 3


def test_what_is_refused_is_told() -> None:
    async def refuse(peer: Peer, payload: bytes) -> bytes:
        return b"MSH|^~\\&|||||1||ACK|1|P|2.5.1\rMSA|AE|" + payload.split(b"|")[9] + b"|no\r"

    with listening(refuse) as port:
        result = CliRunner().invoke(simulate, ["--port", str(port), "--rate", "0", "--count", "2", "--seed", "7"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "2 AE"
    assert result.stderr.splitlines() == ["00007-00000001 AE no", "00007-00000002 AE no"]


def test_a_receiver_that_is_not_there_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    class Pauses(tuple[float, ...]):
        def __getitem__(self, place: object) -> float:  # type: ignore[override]
            tried.set()
            return 0.02

    monkeypatch.setattr("hl7_gateway.commands.simulate._PAUSES", Pauses((0.02,)))
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    results: list[str] = []

    def run() -> None:
        result = CliRunner().invoke(simulate, ["--port", str(port), "--rate", "0", "--count", "3"])
        results.append(result.stderr + result.stdout)

    thread = threading.Thread(target=run)
    thread.start()
    assert tried.wait(30)
    assert not results
    with listening(receiver, port=port):
        thread.join(30)
    assert "waiting for the receiver" in results[0]
    assert "3 AA" in results[0]
