"""Small HTTPS servers over real sockets, with certificates of an authority made for the test."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fhir_server.authn.addresses import read_allowed
from fhir_server.authn.outbound import Outbound, SocketAddress
from tests.factories.certificates import named, new_key, private_pem, signed


class Authority:
    """A certificate authority, and the contexts of those who trust it and of those whom it has certified."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = new_key()
        self._name = named("Authority of a test")
        self._serial = 0
        self.certificate = signed(self._name, self._key, self._name, self._key, authority=True)

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def certified(self, *names: str) -> ssl.SSLContext:
        key = new_key()
        alternative = [x509.DNSName(name) for name in names]
        certificate = signed(x509.Name([]), key, self._name, self._key, alternative)
        self._serial += 1
        path = self._directory / f"{self._serial}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


Handle = Callable[[BaseHTTPRequestHandler], None]


class Served:
    """A running server: its port, and what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []


@contextmanager
def serving(handle: Handle, context: ssl.SSLContext | None, address: str = "127.0.0.1") -> Iterator[Served]:
    """A server that answers every request by ``handle``; plain HTTP without a context."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            try:
                if context is not None:
                    self.connection.do_handshake()  # type: ignore[attr-defined]
                super().handle()
            except (OSError, ValueError):
                return  # The other side has gone, or has not trusted this one.

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            handle(self)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing is written to the tests' output."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(
    body: bytes, status: int = 200, headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
) -> Handle:
    """Answers every request with ``body``."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return handle


class Names:
    """A resolver of the test's own: what each name stands for, and how often it was asked."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[SocketAddress]:
        self.asked.append(host)
        found = self.names.get(host, [])
        return [(each, port, 0, 0) if ":" in each else (each, port) for each in found]


def outbound(authority: Authority, names: Names, allow: str = "127.0.0.0/8", time_limit: float = 5.0) -> Outbound:
    """As the server's, but with the test's authority and names."""
    return Outbound(read_allowed(allow), context=authority.trusting(), resolve=names, time_limit=time_limit)
