"""HTTP/1.1 as the load generator writes and reads it. https://www.rfc-editor.org/rfc/rfc9112"""

from __future__ import annotations

import email
import http.client
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.wire import Answer, Malformed, Target, id_of_location, parse_answer

TARGET = Target.of("http://127.0.0.1:8080/t/one/fhir/", {"Authorization": "Bearer abc"})


def test_requests_are_what_an_http_parser_reads() -> None:
    body = '{"resourceType":"Patient","name":[{"family":"García"}]}'.encode()
    for request, method, path, sent in (
        (TARGET.get("Patient/1"), "GET", "/t/one/fhir/Patient/1", b""),
        (TARGET.post("", body), "POST", "/t/one/fhir", body),
        (TARGET.put("Patient/1", body), "PUT", "/t/one/fhir/Patient/1", body),
        (TARGET.delete("Patient/1"), "DELETE", "/t/one/fhir/Patient/1", b""),
    ):
        line, _, rest = request.partition(b"\r\n")
        assert line.decode() == f"{method} {path} HTTP/1.1"
        head, _, payload = rest.partition(b"\r\n\r\n")
        headers = email.message_from_bytes(head)
        assert headers["Host"] == "127.0.0.1:8080"
        assert headers["Authorization"] == "Bearer abc"
        assert payload == sent
        assert headers["Content-Length"] == (str(len(sent)) if sent else None)


@pytest.mark.parametrize("url", ["https://example.org/fhir", "ftp://x/", "/fhir", "http://x/fhir?a=b"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        Target.of(url)


class _Socket:
    """As much of a socket as http.client needs to read an answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def second_opinion(data: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Socket(data))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


bodies = st.binary(max_size=300)


@given(bodies, st.sampled_from([200, 201, 404, 422]), st.sampled_from(["Content-Length", "content-length"]), st.data())
def test_an_answer_with_a_length_in_any_pieces(body: bytes, status: int, name: str, data: st.DataObject) -> None:
    whole = f"HTTP/1.1 {status} X\r\nServer: x\r\n{name}: {len(body)}\r\n\r\n".encode() + body
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert parse_answer(whole[:cut]) is None
    answer = parse_answer(bytearray(whole))
    assert answer is not None
    assert (answer.status, answer.body) == second_opinion(whole)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.data())
def test_an_answer_in_chunks_in_any_pieces(chunks: list[bytes], data: st.DataObject) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert parse_answer(whole[:cut]) is None
    answer = parse_answer(whole)
    assert answer is not None
    assert (answer.status, answer.body) == second_opinion(whole)


def test_an_answer_without_content() -> None:
    answer = parse_answer(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")
    assert answer is not None
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_answer(data)


@pytest.mark.parametrize(
    "location",
    [
        "Patient/a-1",
        "http://x/fhir/Patient/a-1",
        "http://x/fhir/Patient/a-1/_history/3",
        "/fhir/Patient/a-1/_history/W.2",
    ],
)
def test_the_id_in_a_location(location: str) -> None:
    assert id_of_location(location) == "a-1"
    head = b"HTTP/1.1 201 Created\r\nlocation: " + location.encode() + b"\r\n"
    assert Answer(201, head, b"").logical_id() == "a-1"


def test_no_location() -> None:
    with pytest.raises(ValueError, match="Location"):
        Answer(201, b"HTTP/1.1 201 Created\r\n", b"").logical_id()
    with pytest.raises(ValueError, match="Location"):
        id_of_location("http://x/fhir/")


def test_the_default_port() -> None:
    assert Target.of("http://example.org/fhir").port == 80
