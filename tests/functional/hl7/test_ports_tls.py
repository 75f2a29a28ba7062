"""Ports of one gateway that speak differently, on real sockets. docs/hl7.md, "TLS" """

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.feed import parse
from hl7_gateway.ports import Ports
from hl7_gateway.securing import secured
from hl7_gateway.wire import tls
from hl7_gateway.wire.connection import Handler
from hl7_gateway.wire.mllp import frame
from hl7_gateway.wire.peer import Peer
from tests.functional.hl7.certificates import Authority, Issued
from tests.functional.running import free_port

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("registry"), "registry")


@pytest.fixture(scope="module")
def other_server(registry: Authority) -> Issued:
    return registry.issue("gateway")


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


def telling(port: int) -> Handler:
    """Answers who the gateway takes the sender for, and at which port."""

    async def handler(peer: Peer, payload: bytes) -> bytes:
        return f"{port} {peer.certificate}".encode()

    return handler


async def ask(port: int, context: ssl.SSLContext | None) -> str:
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    writer.write(frame(b"hello"))
    answer = await reader.readuntil(b"\x1c\r")
    writer.close()
    return answer.strip(b"\x0b\x1c\r").decode()


async def refused(port: int, context: ssl.SSLContext | None) -> None:
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await ask(port, context)


def settings(**environ: object) -> Settings:
    return Settings.from_env({name: str(value) for name, value in environ.items()})


def test_each_port_speaks_as_it_is_said_to(
    hospital: Authority, registry: Authority, server: Issued, other_server: Issued, lab: Issued
) -> None:
    own, plain, usual, mutual, theirs = (free_port() for _ in range(5))
    written = settings(
        MLLP_CERTIFICATE_FILE=server.certificate,
        MLLP_KEY_FILE=server.key,
        MLLP_PORTS=f"{plain}, {mutual}+mtls;ca={hospital.certificate},"
        f" {theirs}+tls;certificate={other_server.certificate};key={other_server.key}",
    )
    feed = parse(FeedRow(1, "riverside", 1, "lab", False, 0, {"port": usual}))

    async def scenario() -> None:
        ports = Ports(HOST, own, telling, secured(written))
        await ports.follow([feed])
        assert ports.open == tuple(sorted((own, plain, usual, mutual, theirs)))
        any_sender, known = tls.client(hospital.certificate), tls.client(hospital.certificate, lab.certificate, lab.key)
        assert await ask(plain, None) == f"{plain} "
        for port in (own, usual):
            assert await ask(port, any_sender) == f"{port} "
            await refused(port, None)
        assert await ask(mutual, known) == f"{mutual} {lab.fingerprint}"
        await refused(mutual, any_sender)
        await refused(mutual, None)
        # This one shows a certificate of another authority.
        assert await ask(theirs, tls.client(registry.certificate)) == f"{theirs} "
        await refused(theirs, any_sender)
        await ports.close(1)

    run(scenario())


def test_one_port_in_a_vpn_and_one_with_mutual_tls(
    hospital: Authority, registry: Authority, server: Issued, lab: Issued
) -> None:
    """No file is said for all ports: those that are not named are without TLS, as they always were."""
    own, mutual = free_port(), free_port()
    files = f"certificate={server.certificate};key={server.key};ca={hospital.certificate}"
    written = settings(MLLP_PORTS=f"{mutual}+mtls;{files}")
    stranger = registry.issue("stranger")

    async def scenario() -> None:
        ports = Ports(HOST, own, telling, secured(written))
        await ports.follow([])
        assert await ask(own, None) == f"{own} "
        sender = tls.client(hospital.certificate, lab.certificate, lab.key)
        assert await ask(mutual, sender) == f"{mutual} {lab.fingerprint}"
        await refused(mutual, tls.client(hospital.certificate, stranger.certificate, stranger.key))
        await ports.close(1)

    run(scenario())


def test_a_feed_without_a_port_may_send_what_it_is_allowed_to_by_any_named_port(server: Issued) -> None:
    own, plain = free_port(), free_port()
    feed = parse(FeedRow(1, "riverside", 1, "lab", False, 0, {"application": "LAB", "limit": 64_000_000}))

    async def scenario() -> None:
        ports = Ports(HOST, own, telling, secured(settings(MLLP_PORTS=str(plain))))
        await ports.follow([feed])
        reader, writer = await asyncio.open_connection(HOST, plain)
        writer.write(frame(b"x" * 40_000_000))
        assert f"{plain} ".encode() in await reader.readuntil(b"\x1c\r")
        writer.close()
        await ports.close(1)

    run(scenario())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2576+ssl", "'2576+ssl' must be 2576, 2576+tls or 2576+mtls"),
        ("2576+", "'2576+' must be 2576"),
        ("0", "ports from 1 to 65535"),
        ("65536+tls", "ports from 1 to 65535"),
        ("https", "'https' is none"),
        ("99999999999999999999", "ports from 1 to 65535"),
        ("0025750000", "ports from 1 to 65535"),
        ("٢٥٧٥", "ports from 1 to 65535"),
        ("2575,2575+tls;certificate={pair}", "names the port 2575 twice"),
        ("2576+tls;cert=x", "'cert=x' of 2576+tls must be one of certificate=FILE, key=FILE and ca=FILE"),
        ("2576+tls;certificate=", "'certificate=' of 2576+tls"),
        ("2576+tls;certificate={pair};certificate={pair}", "each once"),
        ("2576;certificate={pair}", "2576 has certificate but neither +tls nor +mtls"),
        ("2576+tls;certificate={pair};ca={ca}", "2576+tls has ca; only +mtls asks"),
        ("2576+mtls;key={key};ca={ca}", "2576+mtls has key and no certificate"),
        ("2576+tls", "2576+tls: there must be a certificate, here or in MLLP_CERTIFICATE_FILE"),
        ("2576+mtls;certificate={pair}", "2576+mtls: there must be a ca"),
        ("2576+tls;certificate={none}", "2576+tls: {none} cannot be read: No such file or directory"),
        ("2576+tls;certificate={crt}", "{crt}, with its key in it, must be a certificate and its private key"),
        ("2576+tls;certificate={crt};key={other}", "{crt} and {other} must be a certificate and its private key"),
        ("2576+tls;certificate={crt};key={locked}", "the key without a password"),
        ("2576+mtls;certificate={pair};ca={key}", "{key} must have certificates of authorities as PEM"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_is_wrong(
    hospital: Authority, server: Issued, lab: Issued, tmp_path: Path, written: str, said: str
) -> None:
    pair, locked = tmp_path / "pair.pem", tmp_path / "locked.key"
    pair.write_bytes(server.certificate.read_bytes() + server.key.read_bytes())
    key = serialization.load_pem_private_key(server.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    names = {
        "pair": pair, "locked": locked, "crt": server.certificate, "key": server.key, "other": lab.key,
        "ca": hospital.certificate, "none": tmp_path / "none",
    }  # fmt: skip
    with pytest.raises(ConfigurationError) as error:
        secured(settings(MLLP_PORTS=written.format(**names)))
    assert said.format(**names) in str(error.value)
    assert str(error.value).startswith("MLLP_PORTS")


def test_the_files_for_all_ports_are_refused_as_before(server: Issued, lab: Issued) -> None:
    for environ in (
        {"MLLP_KEY_FILE": server.key},
        {"MLLP_CLIENT_CA_FILE": server.certificate},
        {"MLLP_CERTIFICATE_FILE": server.certificate, "MLLP_KEY_FILE": lab.key},
    ):
        with pytest.raises(ConfigurationError, match="MLLP_CERTIFICATE_FILE"):
            secured(settings(**environ))
