"""HTTP/1.1 as the load generator speaks it: requests made in advance, answers read no further than needed.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

FHIR_JSON = "application/fhir+json"

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\n(?:content-)?location:[ \t]*([^\r\n]+)", re.IGNORECASE)
_LOGICAL_ID = re.compile(r"/?([A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]*)?$")


@dataclass(frozen=True, slots=True)
class Target:
    """A FHIR base on a server: where to connect, what stands before each path, what each request carries."""

    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str] | None = None) -> Target:
        """The target of a base URL such as http://localhost:8080/fhir. Raises ValueError for anything but http."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url} is no http:// base URL; put a proxy before a server that speaks only https")
        return cls(parts.hostname, parts.port or 80, parts.path.rstrip("/"), tuple((headers or {}).items()))

    def get(self, path: str) -> bytes:
        """GET [base]/path"""
        return self._request("GET", path, None)

    def post(self, path: str, body: bytes) -> bytes:
        """POST [base]/path with a resource"""
        return self._request("POST", path, body)

    def put(self, path: str, body: bytes) -> bytes:
        """PUT [base]/path with a resource"""
        return self._request("PUT", path, body)

    def delete(self, path: str) -> bytes:
        """DELETE [base]/path"""
        return self._request("DELETE", path, None)

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        lines = [f"{method} {self.path}{'/' if path else ''}{path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"Accept: {FHIR_JSON}")
        if body is not None:
            lines += [f"Content-Type: {FHIR_JSON}", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: ``head`` is the status line and the headers."""

    status: int
    head: bytes
    body: bytes

    def logical_id(self) -> str:
        """The id that the server gave to what was created. Raises ValueError where it says none."""
        found = _LOCATION.search(self.head)
        return id_of_location(found[1].decode("latin-1")) if found else _no_id()


def id_of_location(location: str) -> str:
    """The id in .../Patient/123/_history/1. Raises ValueError for a location of another form."""
    found = _LOGICAL_ID.search(location.strip())
    return found[2] if found else _no_id()


def _no_id() -> str:
    raise ValueError("the server did not say under which id it created the resource (header Location)")


class Malformed(Exception):
    """The bytes are no HTTP/1.1 response with a length."""


def parse_answer(data: bytes | bytearray) -> Answer | None:
    """The response at the start of ``data``, or None while some of it is still to come. Raises Malformed."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    if not data.startswith(b"HTTP/1.") or not data[9:12].isdigit():
        raise Malformed(bytes(data[:80]))
    status, head, start = int(data[9:12]), bytes(data[: end + 2]), end + 4
    if status in (204, 304):
        return Answer(status, head, b"")
    if length := _LENGTH.search(head):
        stop = start + int(length[1])
        return Answer(status, head, bytes(data[start:stop])) if len(data) >= stop else None
    if _CHUNKED.search(head):
        body = _chunks(data, start)
        return None if body is None else Answer(status, head, body)
    raise Malformed("a response with neither Content-Length nor chunks")


def _chunks(data: bytes | bytearray, start: int) -> bytes | None:
    """The chunks' content, or None while some are still to come. https://www.rfc-editor.org/rfc/rfc9112#section-7.1"""
    parts = []
    while True:
        end = data.find(b"\r\n", start)
        if end < 0:
            return None
        try:
            size = int(bytes(data[start:end]).partition(b";")[0], 16)
        except ValueError:
            raise Malformed("a chunk without a size") from None
        start = end + 2 + size + 2
        if len(data) < start:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(bytes(data[end + 2 : end + 2 + size]))
