"""Certificates that are read again while the gateway runs, over real sockets. docs/hl7.md, "TLS" """

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_server.store.database_urls import DatabaseUrls
from hl7_gateway.wire import tls
from hl7_gateway.wire.mllp import frame
from tests.functional.hl7.certificates import Authority, Issued
from tests.functional.hl7.test_serve import Process

HOST = "127.0.0.1"
PING = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5.1\rPID|1||1^^^H\r"


class Files:
    """The files that the gateway was told of, which somebody writes anew."""

    def __init__(self, directory: Path) -> None:
        self.certificate, self.key = directory / "gateway.pem", directory / "gateway.key"
        self.authorities = directory / "senders.pem"

    def hold(self, issued: Issued, of: Authority) -> None:
        self.certificate.write_bytes(issued.certificate.read_bytes())
        self.key.write_bytes(issued.key.read_bytes())
        self.authorities.write_bytes(of.certificate.read_bytes())


@pytest.fixture(scope="module")
def successor(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("successor"), "successor")


@pytest.fixture
def files(tmp_path: Path, hospital: Authority) -> Files:
    made = Files(tmp_path)
    made.hold(hospital.issue("gateway"), hospital)
    return made


@pytest.fixture
def process(database: DatabaseUrls, tmp_path: Path, files: Files) -> Iterator[Process]:
    made = Process(
        database,
        tmp_path / "log",
        MLLP_CERTIFICATE_FILE=str(files.certificate),
        MLLP_KEY_FILE=str(files.key),
        MLLP_CLIENT_CA_FILE=str(files.authorities),
    )
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


class Link:
    """A sender that stays connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int, context: ssl.SSLContext) -> Link:
        return cls(*await asyncio.open_connection(HOST, port, ssl=context))

    @property
    def shown(self) -> str:
        """The fingerprint of the certificate that the gateway has shown."""
        return tls.fingerprint(self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True))

    async def answered(self) -> bool:
        self._writer.write(frame(PING))
        return b"MSA|A" in await self._reader.readuntil(b"\x1c\r")

    def close(self) -> None:
        self._writer.close()


async def refused(port: int, context: ssl.SSLContext) -> bool:
    """Whether a sender is let in neither at once nor, as in TLS 1.3, when it has said something."""
    try:
        link = await Link.to(port, context)
        return not await link.answered()
    except (OSError, asyncio.IncompleteReadError):
        return True


async def until(condition: Callable[[], bool]) -> None:
    ending = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ending, "it does not happen"
        await asyncio.sleep(0.05)


def test_new_certificates_are_shown_to_new_connections_and_bad_ones_to_nobody(
    process: Process, files: Files, hospital: Authority, successor: Authority
) -> None:
    first, lab = files.certificate.read_bytes(), hospital.issue("lab")
    other_lab, second = successor.issue("lab"), successor.issue("gateway")
    before = tls.client(hospital.certificate, lab.certificate, lab.key)
    after = tls.client(successor.certificate, other_lab.certificate, other_lab.key)
    shown_first = tls.fingerprint(ssl.PEM_cert_to_DER_cert(first.decode()))

    def renew() -> None:
        assert process.process is not None
        process.process.send_signal(signal.SIGHUP)

    async def scenario() -> None:
        await until(lambda: "listening for HL7 v2" in process.log)
        link = await Link.to(process.port, before)
        assert link.shown == shown_first
        assert await link.answered()
        assert await refused(process.port, after)
        files.hold(second, successor)
        renew()
        await until(lambda: process.log.count("certificates were read again") == 1)
        assert await link.answered(), "who is connected stays so"
        newer = await Link.to(process.port, after)
        assert newer.shown == second.fingerprint
        assert await newer.answered()
        assert await refused(process.port, before)
        # A key that is not of the certificate: somebody has written one file of two so far.
        files.key.write_bytes(lab.key.read_bytes())
        renew()
        await until(lambda: "certificates stay as they were" in process.log)
        again = await Link.to(process.port, after)
        assert again.shown == second.fingerprint
        assert await again.answered()
        files.hold(hospital.issue("gateway"), hospital)
        renew()
        await until(lambda: process.log.count("certificates were read again") == 2)
        assert await newer.answered()
        assert await (await Link.to(process.port, before)).answered()
        for one in (link, newer, again):
            one.close()

    async def bounded() -> None:
        async with asyncio.timeout(90):
            await scenario()

    asyncio.run(bounded())
    assert "PRIVATE KEY" not in process.log
    assert process.stop() == 0
