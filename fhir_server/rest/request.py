"""A FHIR request off the wire: only what is needed, only when it is needed. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import re
import zlib
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from fhir_server.errors import BadRequest, TooLarge, UnsupportedMediaType
from fhir_server.interactions.context import Conditions, Prefer
from fhir_server.r4 import json
from fhir_server.rest.uploads import Uploads

JSON_TYPES = frozenset(("application/fhir+json", "application/json", "application/json+fhir", "text/json"))
FORM_TYPE = "application/x-www-form-urlencoded"
JSON_PATCH_TYPE = "application/json-patch+json"
GRAPHQL_TYPE = "application/graphql"

_MAX_FIELDS = 1000
_MOST_RECEIVED = 65_536
_LENGTH = re.compile(r"[0-9]{1,18}")
_ETAG = re.compile(r'(?:W/)?"?([^"\s]{1,64})"?')


class Request:
    """One request. ``environ`` is WSGI's (https://peps.python.org/pep-3333/); ``max_body`` bounds the body in bytes."""

    __slots__ = ("_max_body", "_pairs", "_uploads", "environ", "method", "received")

    def __init__(self, environ: dict[str, Any], max_body: int, uploads: Uploads) -> None:
        self._uploads = uploads
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self._max_body = max_body
        self._pairs: list[tuple[str, str]] | None = None
        self.received: bytes | None = None
        """The body once it was read, for the audit trail; None for a long one, which nobody searches with."""

    @property
    def query_string(self) -> str:
        """What follows the "?", percent-encoded. Raises BadRequest for bytes that are not UTF-8."""
        value: str = self.environ.get("QUERY_STRING", "")
        return value if value.isascii() else _utf8(value.encode("latin-1", "replace"))

    def header(self, name: str) -> str:
        """A header by its WSGI name ("IF_MATCH"), or ""."""
        value: str = self.environ.get("HTTP_" + name, "")
        return value

    def query(self) -> list[tuple[str, str]]:
        """The query string's parameters in order. Raises BadRequest for more than 1,000, or bytes that are not
        UTF-8."""
        if self._pairs is None:
            query_string = self.query_string
            self._pairs = _pairs(query_string) if query_string else []
        return self._pairs

    @property
    def content_type(self) -> str:
        """The body's media type in lower case, without parameters; "" if none is given."""
        value: str = self.environ.get("CONTENT_TYPE", "")
        return value.partition(";")[0].strip().lower()

    def body(self) -> bytes:
        """The body, decompressed.

        Raises TooLarge, BadRequest, UnsupportedMediaType (an unknown Content-Encoding), Unavailable.
        """
        data = self._read()
        if len(data) <= _MOST_RECEIVED:
            self.received = data
        return data

    def _read(self) -> bytes:
        length = self._content_length()
        if length is not None and length > self._max_body:
            raise self._too_large()
        # Without a Content-Length the body came in chunks: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
        size = self._max_body + 1 if length is None else length
        data = self._uploads.read(self.environ["wsgi.input"], size) if size else b""
        if len(data) > self._max_body:
            raise self._too_large()
        if length is not None and len(data) < length:
            raise BadRequest("The body is shorter than Content-Length says.")
        encoding = self.header("CONTENT_ENCODING").strip().lower()
        if encoding in ("", "identity"):
            return data
        if encoding in ("gzip", "x-gzip"):
            return self._gunzip(data)
        raise UnsupportedMediaType(f"Content-Encoding {encoding[:40]!r} is not understood; send gzip or none.")

    def _content_length(self) -> int | None:
        written: str = self.environ.get("CONTENT_LENGTH") or ""
        if not written:
            return None
        if not _LENGTH.fullmatch(written):
            raise BadRequest("Content-Length must be a number of bytes.")
        return int(written)

    def _gunzip(self, data: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=31)
        try:
            # A small body may inflate to any size: stop one byte past the limit.
            plain = inflater.decompress(data, self._max_body + 1)
        except zlib.error:
            raise BadRequest("The body is not valid gzip.") from None
        if len(plain) > self._max_body:
            raise self._too_large()
        if not inflater.eof:
            raise BadRequest("The gzip body is cut off.")
        if inflater.unused_data:
            raise BadRequest("Something follows the gzip body; send it as one gzip member.")
        return plain

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body exceeds {self._max_body} bytes; split it up.")

    def json(self, *, optional: bool = False) -> Any:
        """The JSON body; None where there is none and it is ``optional``.

        Raises BadRequest (not JSON), UnsupportedMediaType, TooLarge.
        """
        kind = self.content_type
        if kind and kind not in JSON_TYPES and kind != JSON_PATCH_TYPE:
            raise UnsupportedMediaType(f"The Content-Type {kind[:80]!r} cannot be read; send application/fhir+json.")
        data = self.body()
        if not data:
            if optional:
                return None
            raise BadRequest("The request has no body; a FHIR resource in JSON is expected.", code="structure")
        try:
            return json.parse(data)
        except ValueError as error:
            raise BadRequest(f"The body is not JSON: {error}.", code="structure") from None

    def text(self) -> str:
        """The body as text. Raises BadRequest (not UTF-8), UnsupportedMediaType, TooLarge."""
        try:
            return self.body().decode()
        except UnicodeDecodeError:
            raise BadRequest("The body is not UTF-8.") from None

    def form(self) -> list[tuple[str, str]]:
        """The fields of a form body, for POST _search. Raises UnsupportedMediaType, BadRequest, TooLarge."""
        kind = self.content_type
        if kind and kind != FORM_TYPE:
            raise UnsupportedMediaType(f"_search takes Content-Type {FORM_TYPE}, not {kind[:80]!r}.")
        data = self.body()
        return _pairs(_utf8(data)) if data else []

    def prefer(self) -> Prefer:
        """The Prefer header. https://hl7.org/fhir/R4/http.html#ops; what is not known is passed over, as RFC 7240
        wants."""
        text = self.header("PREFER")
        if not text:
            return _NO_PREFERENCE
        returning, lenient, asynchronous = "", False, False
        for part in re.split(r"[,;]", text):
            name, _, value = part.strip().partition("=")
            value = value.strip().strip('"')
            if name == "return" and value in ("minimal", "representation", "OperationOutcome"):
                returning = value
            elif name == "handling":
                lenient = value == "lenient"
            elif name == "respond-async":
                asynchronous = True
        return Prefer(returning, lenient, asynchronous)

    def conditions(self) -> Conditions:
        """The conditional headers. Raises BadRequest for an If-Match that is no ETag."""
        environ = self.environ
        if environ.get("HTTP_IF_MATCH") == "":
            # Taken for no condition it would overwrite what the client did not want to.
            raise BadRequest('If-Match is empty; it must be one ETag such as W/"3".')
        match, none_match = environ.get("HTTP_IF_MATCH", ""), environ.get("HTTP_IF_NONE_MATCH", "")
        since, none_exist = environ.get("HTTP_IF_MODIFIED_SINCE", ""), environ.get("HTTP_IF_NONE_EXIST")
        if not (match or none_match or since or none_exist is not None):
            return _NO_CONDITIONS
        return Conditions(
            etag(match, "If-Match"),
            etag(none_match, "If-None-Match"),
            _seconds(since),
            None if none_exist is None else _utf8(none_exist.encode("latin-1", "replace")).strip(),
        )


_NO_PREFERENCE = Prefer()
_NO_CONDITIONS = Conditions()


def etag(text: str, header: str) -> str:
    """The versionId in an ETag ('W/"3"' is 3; * stays). Raises BadRequest for a list or anything else.

    https://hl7.org/fhir/R4/http.html#versioning
    """
    text = text.strip()
    if not text:
        return ""
    found = _ETAG.fullmatch(text)
    if found is None:
        raise BadRequest(f'{header} must be one ETag such as W/"3".')
    return found[1]


def _seconds(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        # An If-Modified-Since that is no date is ignored:
        # https://www.rfc-editor.org/rfc/rfc9110#field.if-modified-since
        return None


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadRequest("The query is not percent-encoded UTF-8.") from None


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except UnicodeDecodeError:
        raise BadRequest("The query is not percent-encoded UTF-8.") from None
    except ValueError:
        raise BadRequest(f"The query has more than {_MAX_FIELDS} parameters.") from None


def path_segments(path_info: str) -> list[str]:
    """The segments of WSGI's PATH_INFO (decoded bytes in latin-1 clothing). Raises BadRequest if they are not UTF-8."""
    try:
        return path_info.encode("latin-1").decode("utf-8").split("/")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise BadRequest("The URL is not percent-encoded UTF-8.") from None


def unquoted(text: str) -> str:
    """Percent-decoded text. Raises BadRequest if it is not UTF-8."""
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The URL is not percent-encoded UTF-8.") from None
