"""What an attacker sends, and what every answer must hold all the same. https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

import copy
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

TEXTS = (
    "", " ", "\t", "\0", "x\0y", "\r\nX-Evil: 1", "\u2028", "\ufeff", "\ufffe", "\uffff", "😀", "e\u0301", "\u202e",
    "%", "%00", "%zz",
    "%ff", "%ud800", "\\", "\\,", "'", "''; DROP TABLE resource; --", '"', "$$", "$1", "{{7*7}}", "${jndi:ldap://x}",
    "../../etc/passwd",
    "<script>alert(1)</script>", "a" * 64, "a" * 65, "a" * 5000, "((((((((a+)+)+)+)+)+)+)+)+!", "|", "|||", "a|b|c",
    "urn:uuid:x", "#",
    "Patient/1", "Patient/" + "9" * 70, "//", "http://", "0000", "9999-12-31T23:59:60.999999999+14:00", "2024-02-30",
    "-0", "1e400", "NaN",
    "Infinity", "-1e-400", "9" * 500, "0x10", "١٢٣", "²", "true", "null", "[]", "{}", "W/\"1\"", "*", ";", "&", "=",
    "+", "\x7f", "\x85",
)  # fmt: skip
"""Strings that have broken servers."""

NUMBERS = ("0", "-0", "-1", "1.0", "2147483648", "-2147483649", "9223372036854775808", "1" * 300, "1" * 5000,
         "1e400", "1E-400",
           "1e999999999", "-1e-999999999", "0." + "0" * 500 + "1", "1e2147483648", "0e999999999999")  # fmt: skip
"""JSON numbers, as text: Python's own writer could not say most of them."""

OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": 1},
    {"resourceType": "Patient"},
    {"extension": []},
)


@dataclass(frozen=True)
class Answer:
    """What came back, as bytes."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        """The body; decimals keep their digits."""
        data = gzip.decompress(self.data) if self.headers.get("Content-Encoding") == "gzip" else self.data
        return json.loads(data, parse_float=Decimal)


def send(
    app: Any,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    length: str | None = None,
) -> Answer:
    """One request straight into WSGI, with nothing in between that would refuse or repair it.

    ``target`` is what stands in the request line; ``length`` a Content-Length that may be untrue, "" for none.
    """
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8080",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if length is None and body is not None:
        length = str(len(body))
    if length:
        environ["CONTENT_LENGTH"] = length
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    seen: list[tuple[int, list[tuple[str, str]]]] = []

    def start_response(status: str, sent: list[tuple[str, str]], *_: Any) -> None:
        seen.append((int(status[:3]), sent))

    data = b"".join(app.wsgi_app(environ, start_response))
    ((status, sent),) = seen
    for name, value in sent:
        assert value.encode("latin-1").isascii() or name == "Location", (name, value)
        assert not set(value) & set("\r\n\0"), (name, value)
    return Answer(status, dict(sent), data)


def holds(answer: Answer, method: str = "GET", *, allowed: tuple[int, ...] = ()) -> Answer:
    """Assert what is true of every answer to whatever was sent: the client's fault is a 4xx that says what is wrong."""
    assert answer.status < 500 or answer.status in allowed, (answer.status, answer.data[:300])
    assert b"Traceback" not in answer.data
    if method != "HEAD" and answer.status not in (204, 304):
        assert int(answer.headers["Content-Length"]) == len(answer.data)
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
        if method != "HEAD":
            outcome = answer.json
            assert outcome["resourceType"] == "OperationOutcome"
            assert all(issue["diagnostics"] for issue in outcome["issue"])
            assert len(answer.data) < 400_000
    return answer


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every value within a JSON value."""
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        found += places(item, (*path, key))
    return found


def damaged(document: Any, random: Random) -> bytes:
    """A JSON document with up to three of its values or names replaced, and sometimes with broken bytes."""
    made = copy.deepcopy(document)
    written: dict[str, str] = {}
    for _ in range(random.randint(1, 3)):
        everywhere = places(made)
        if not everywhere:
            break
        *path, last = random.choice(everywhere)
        holder: Any = made
        for key in path:
            holder = holder[key]
        kind = random.random()
        mark = f"@@{len(written)}@@"
        if kind < 0.1:
            del holder[last]
        elif kind < 0.2 and isinstance(holder, dict):
            holder[random.choice(TEXTS)] = holder.pop(last)
        elif kind < 0.5:
            holder[last] = random.choice(TEXTS)
        elif kind < 0.7:
            holder[last], written[mark] = mark, random.choice(NUMBERS)
        elif kind < 0.8:
            holder[last], written[mark] = mark, nested(random.choice((5, 70, 300, 3000)), random)
        else:
            holder[last] = copy.deepcopy(random.choice(OTHERS))
    text = json.dumps(made, ensure_ascii=random.random() < 0.5)
    for mark, value in written.items():
        text = text.replace(f'"{mark}"', value)
    data = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        at = random.randrange(len(data))
        data = data[:at] + random.randbytes(3) + data[at + random.randint(0, 3) :]
    return data


_NESTS = (
    ("[", "", "]"),
    ('{"a":', "1", "}"),
    ('{"url":"u","extension":[', '{"url":"u","valueCode":"c"}', "]}"),
    ('{"resourceType":"Patient","contained":[', '{"resourceType":"Patient"}', "]}"),
    ('{"resourceType":"Bundle","type":"batch","entry":[{"resource":', '{"resourceType":"Patient"}', "}]}"),
)


def nested(depth: int, random: Random) -> str:
    """The JSON of arrays, objects, extensions or resources within each other."""
    opening, middle, closing = random.choice(_NESTS)
    return opening * depth + middle + closing * depth
