"""Content types, presentation, versioning headers, compression, cross-origin access.
https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

import msgspec

from fhir_server.errors import BadRequest, NotAcceptable
from fhir_server.interactions.context import Response
from fhir_server.r4 import json
from fhir_server.r4.subset import subset
from fhir_server.rest.request import Request

CONTENT_TYPE = "application/fhir+json; charset=utf-8"

_JSON = frozenset(
    ("application/fhir+json", "application/json", "application/json+fhir", "text/json", "application/*", "*/*", "json")
)
_SUMMARIES = ("true", "text", "data", "count", "false")
_WORTH_COMPRESSING = 1400
_PRETTY = re.compile(r"(?:^|&)_pretty=true(?:&|$)")
_GZIP = re.compile(r"(?:^|,)\s{0,9}gzip(?:\s{0,9};\s{0,9}q=([01](?:\.[0-9]{0,3})?))?\s{0,9}(?:,|$)")


@dataclass(frozen=True, slots=True)
class Presentation:
    """How the client wants the answer. https://hl7.org/fhir/R4/http.html#parameters

    ``summary`` and ``elements`` apply to a single resource: a search applies them itself.
    """

    pretty: bool = False
    summary: str = ""
    elements: tuple[str, ...] = ()


_PLAIN = Presentation()


def presentation(request: Request) -> Presentation:
    """What _format, Accept, _pretty, _summary and _elements ask for. Raises NotAcceptable, BadRequest."""
    accept = request.header("ACCEPT")
    wanted = {} if "_" not in request.query_string else dict(request.query())
    if wanted.get("_format"):
        if wanted["_format"].partition(";")[0].strip().lower().replace(" ", "+") not in _JSON:
            raise NotAcceptable(f"The format {wanted['_format'][:64]!r} is not available; application/fhir+json is.")
    elif accept and accept != "*/*" and not _accepts_json(accept):
        raise NotAcceptable("None of the formats in Accept is available; application/fhir+json is.")
    if not wanted:
        return _PLAIN
    summary = wanted.get("_summary", "")
    if summary and summary not in _SUMMARIES:
        raise BadRequest(f"_summary is one of {', '.join(_SUMMARIES)}, not {summary[:40]!r}.")
    elements = tuple(name.strip() for name in wanted.get("_elements", "").split(",") if name.strip())
    return Presentation(wanted.get("_pretty") == "true", summary, elements)


@lru_cache(maxsize=1024)
def _accepts_json(accept: str) -> bool:
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind in _JSON and "q=0" not in (p.replace(" ", "") for p in parameters):
            return True
    return False


def present(response: Response, wanted: Presentation) -> Response:
    """The answer as it was asked for. Bundles of searches have been summarised already."""
    if wanted is _PLAIN or response.body is None:
        return response
    if (wanted.summary or wanted.elements) and not response.body.startswith(b'{"resourceType":"Bundle"'):
        resource = json.parse(response.body)
        if resource["resourceType"] != "OperationOutcome":
            summary = "" if wanted.summary in ("count", "false") else wanted.summary
            response.body = json.dumps(subset(resource, summary=summary, elements=wanted.elements))
    if wanted.pretty:
        response.body = msgspec.json.format(response.body, indent=2)
    return response


def legible(request: Request, response: Response) -> Response:
    """An error for people, where _pretty asks for that, whatever else is wrong with the request."""
    if response.body is not None and _PRETTY.search(request.environ.get("QUERY_STRING", "")):
        response.body = msgspec.json.format(response.body, indent=2)
    return response


def versioning(response: Response, base_url: str) -> list[tuple[str, str]]:
    """ETag, Last-Modified and Location. https://hl7.org/fhir/R4/http.html#versioning"""
    headers = []
    if response.version is not None:
        headers.append(("ETag", f'W/"{response.version}"'))
    if response.last_updated is not None:
        headers.append(("Last-Modified", _http_date(response.last_updated // 1_000_000)))
    if response.location:
        headers.append(("Location", f"{base_url}/{response.location}"))
    return headers


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def compress(request: Request, response: Response, headers: list[tuple[str, str]]) -> bytes:
    """The body's bytes, in gzip where the client takes it and it is worth it; sets the headers that go with that."""
    body = response.body
    if body is None:
        return b""
    if len(body) < _WORTH_COMPRESSING or not _takes_gzip(request.header("ACCEPT_ENCODING")):
        return body
    # Level 1: three quarters of level 6's gain for a quarter of its time.
    deflater = zlib.compressobj(1, zlib.DEFLATED, 31)
    headers.append(("Content-Encoding", "gzip"))
    headers.append(("Vary", "Accept-Encoding"))
    return deflater.compress(body) + deflater.flush()


def _takes_gzip(accept_encoding: str) -> bool:
    """https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding"""
    if "gzip" not in accept_encoding:
        return False
    found = _GZIP.search(accept_encoding)
    return found is not None and (found[1] is None or float(found[1]) > 0)


_EXPOSED = "ETag, Last-Modified, Location, Content-Location, X-Request-Id, Server-Timing"
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-Modified-Since, If-None-Exist, "
    "X-Request-Id, X-Provenance"
)


class Origins:
    """Whose pages may call from a browser; any may by default, as access goes by the access_token alone, never by a
    cookie.

    ``allowed`` is "*" or a list of origins with commas between them. https://fetch.spec.whatwg.org/#http-cors-protocol
    """

    def __init__(self, allowed: str) -> None:
        self._any = allowed.strip() == "*"
        self._listed = frozenset(origin.strip().rstrip("/") for origin in allowed.split(",") if origin.strip())

    def headers(self, method: str, origin: str) -> list[tuple[str, str]]:
        """The CORS headers for a request by this method from this origin; none where it may not call."""
        if not self._any and origin not in self._listed:
            return [("Vary", "Origin")]
        headers = [
            ("Access-Control-Allow-Origin", "*" if self._any else origin),
            ("Access-Control-Expose-Headers", _EXPOSED),
        ]
        if not self._any:
            headers.append(("Vary", "Origin"))
        if method == "OPTIONS":
            headers += [
                ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
                ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
                ("Access-Control-Max-Age", "86400"),
            ]
        return headers
