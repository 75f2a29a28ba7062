"""The only way to fetch a URL that somebody else named: a client's key set, an identity provider, a webhook.

What is kept from happening: https://owasp.org/www-community/attacks/Server_Side_Request_Forgery
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import IPv6Address
from urllib.parse import urlencode, urlsplit

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeout

from fhir_server.authn import addresses
from fhir_server.authn.addresses import Allowed
from fhir_server.settings import Settings

TIME_LIMIT = 5.0
"""Seconds for all of it: the name, the connection, the answer to its last byte."""

SIZE_LIMIT = 256 * 1024
"""Bytes of the longest answer, as sent and as unpacked."""

CONNECT_LIMIT = 2.0
"""Seconds for one address, so that a dead one leaves time for the next."""

AT_ONCE = 16
LONGEST_URL = 2048

# It would log the URL and what a server sent in place of headers.
logging.getLogger("urllib3.connection").setLevel(logging.CRITICAL)

_CHUNK = 16 * 1024
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Resolve = Callable[[str, int], list[SocketAddress]]


class OutboundError(Exception):
    """Nothing was fetched. ``reason`` is one word; neither it nor the message holds any part of the URL.

    bad-url, scheme, address (not one to be called), unresolved, unreachable, certificate, slow, too-large, bad-answer,
    busy. Shown to whoever named the URL, "address" would tell what names of an inner network stand for.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status; names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart once, so that nothing else reads it another way."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header. https://www.rfc-editor.org/rfc/rfc9110#section-7.2"""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Outbound:
    """Fetches without being led anywhere: no redirects, proxies or cookies; safe to share between threads.

    ``allowed`` may be called although it is not public. ``context`` and ``resolve`` are the system's unless given.
    """

    def __init__(
        self,
        allowed: Allowed = Allowed(),  # noqa: B008  it is frozen
        *,
        context: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        time_limit: float = TIME_LIMIT,
        size_limit: int = SIZE_LIMIT,
    ) -> None:
        self._allowed = allowed
        self._context = context or ssl.create_default_context()
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._resolve = resolve or _resolve
        self._time_limit = time_limit
        self._size_limit = size_limit
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    @classmethod
    def of(cls, settings: Settings) -> Outbound:
        """With what OUTBOUND_ALLOW says and the system's certificate authorities. docs/settings.md"""
        return cls(addresses.read_allowed(settings.outbound_allow))

    def fetch(
        self,
        url: str,
        *,
        accept: str,
        data: Mapping[str, str] | bytes | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """The answer to a GET, or to a POST of ``data`` (a form, or bytes whose type is among the ``headers``).

        Raises OutboundError. https://www.rfc-editor.org/rfc/rfc9110
        """
        target = read_url(url)
        body = urlencode(data).encode() if isinstance(data, Mapping) else data
        sent = {"Host": target.authority, "Accept": accept, "User-Agent": "fhir-server"}
        if isinstance(data, Mapping):
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        sent |= dict(headers) | {"Connection": "close"}
        return self._run(_Exchange(target, body, sent, time.monotonic() + self._time_limit, self._size_limit))

    def _run(self, exchange: _Exchange) -> Answer:
        # Resolvers have no time limit, and a sender of one byte a second meets every limit of a socket. So the work is
        # done by a thread that can be left behind; the slots bound how many there are.
        if not self._slots.acquire(timeout=exchange.left()):
            raise OutboundError("busy", "Too many requests to other servers are under way; try again in a few seconds.")
        done: Future[Answer] = Future()
        try:
            threading.Thread(target=self._work, args=(exchange, done), name="outbound", daemon=True).start()
        except RuntimeError:
            self._slots.release()
            raise OutboundError("busy", "No thread can be started; try again in a few seconds.") from None
        try:
            return done.result(exchange.left())
        except TimeoutError:
            exchange.abandon()
            raise _slow() from None

    def _work(self, exchange: _Exchange, done: Future[Answer]) -> None:
        try:
            done.set_result(exchange.run(self._checked(exchange.target), self._context))
        except BaseException as error:  # noqa: BLE001  whoever waits is told of it: `result` raises it again
            done.set_exception(error)
        finally:
            self._slots.release()

    def _checked(self, target: Target) -> list[SocketAddress]:
        """The addresses of the target, asked for once; if one of them may not be called, none is."""
        try:
            found = self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise OutboundError("unresolved", "The host's name has no address.")
        for each in found:
            address = addresses.parse(each[0])
            explicit = self._allowed.explicitly(target.host, address)
            if not explicit and not addresses.public(address):
                raise OutboundError(
                    "address", "The host has an address that is not public; OUTBOUND_ALLOW may name it."
                )
            if not target.secure and not address.is_loopback:
                raise OutboundError(
                    "scheme", "Only https is used, but for loopback addresses that OUTBOUND_ALLOW names."
                )
        return found


class _Exchange:
    """One request and its answer, over an address that was checked."""

    def __init__(
        self, target: Target, body: bytes | None, headers: dict[str, str], deadline: float, size_limit: int
    ) -> None:
        self.target = target
        self._body = body
        self._headers = headers
        self._deadline = deadline
        self._size_limit = size_limit
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._abandoned = False

    def left(self) -> float:
        """Seconds until the answer is too late; never 0, which sockets take for something else."""
        return max(self._deadline - time.monotonic(), 0.001)

    def abandon(self) -> None:
        """Ends the connection, wherever its thread stands."""
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
                # Not SSLSocket's own, which takes the TLS layer away from under a thread that is reading.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def run(self, checked: list[SocketAddress], context: ssl.SSLContext) -> Answer:
        """Connects, asks and reads. Raises OutboundError."""
        try:
            with contextlib.closing(self._connect(checked, context)) as connected:
                connection = HTTPConnection(self.target.host, self.target.port, timeout=self.left())
                connection.sock = connected
                return self._ask(connection)
        except ssl.SSLCertVerificationError:
            raise OutboundError("certificate", "The server's certificate is not valid for this host.") from None
        except (TimeoutError, ReadTimeout):
            raise _slow() from None
        except (OSError, HTTPError, HTTPException, ValueError) as error:
            raise OutboundError("bad-answer", f"The server's answer broke off ({type(error).__name__}).") from None

    def _connect(self, checked: list[SocketAddress], context: ssl.SSLContext) -> socket.socket:
        for address in checked:
            plain = socket.socket(socket.AF_INET if len(address) == 2 else socket.AF_INET6)
            plain.settimeout(min(self.left(), CONNECT_LIMIT))
            try:
                plain.connect(address)
            except OSError:
                plain.close()
                continue
            plain.settimeout(self.left())
            return self._secured(plain, context) if self.target.secure else self._held(plain)
        raise OutboundError("unreachable", "None of the host's addresses answers.")

    def _secured(self, plain: socket.socket, context: ssl.SSLContext) -> socket.socket:
        name = self.target.host.rstrip(".")
        with contextlib.ExitStack() as closing:
            closing.enter_context(plain)
            secured = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            closing.enter_context(secured)
            self._held(secured)
            secured.do_handshake()
            closing.pop_all()
        return secured

    def _held(self, held: socket.socket) -> socket.socket:
        with self._lock:
            self._socket = held
            if self._abandoned:
                held.close()
                raise _slow()
        return held

    def _ask(self, connection: HTTPConnection) -> Answer:
        method = "GET" if self._body is None else "POST"
        connection.request(method, self.target.path, self._body, self._headers, preload_content=False)
        body = bytearray()
        with contextlib.closing(connection.getresponse()) as response:
            while chunk := response.read(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > self._size_limit:
                    raise OutboundError("too-large", f"The answer is longer than {self._size_limit} bytes.")
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(body))


def read_url(url: str) -> Target:
    """``url`` taken apart; OutboundError unless it is https or http with a plain host, no credentials, no fragment.

    https://www.rfc-editor.org/rfc/rfc3986
    """
    bad = OutboundError("bad-url", "The URL must be https://host/path, without credentials, fragment or blanks.")
    if len(url) > LONGEST_URL or not _URL.fullmatch(url) or "\\" in url or "#" in url:
        raise bad
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if ":" in host:
            host = str(IPv6Address(host))
    except ValueError:
        raise bad from None
    secure = parts.scheme == "https"
    if "@" in parts.netloc or port == 0 or not (":" in host or _NAME.fullmatch(host)) or "%" in host:
        raise bad
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def _resolve(host: str, port: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [entry[4] for entry in found if entry[0] in {socket.AF_INET, socket.AF_INET6}]  # type: ignore[misc]


def _slow() -> OutboundError:
    return OutboundError("slow", "The server did not answer in time.")
