"""Fetching what others have named, over real sockets. https://owasp.org/www-community/attacks/Server_Side_Request_Forgery"""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from fhir_server.authn.outbound import AT_ONCE, Outbound, OutboundError, SocketAddress, read_url
from fhir_server.settings import Settings
from tests.unit.authn.https_servers import Authority, Handle, Names, answering, outbound, serving

JSON = "application/json"


def reason(fetching: Outbound, url: str) -> str:
    with pytest.raises(OutboundError) as caught:
        fetching.fetch(url, accept=JSON)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


def test_an_answer_comes_with_its_status_headers_and_body(authority: Authority) -> None:
    names = Names(idp_example=["127.0.0.1"])
    with serving(answering(b"[]", 404), authority.certified("idp.example")) as served:
        answer = outbound(authority, names).fetch(f"https://idp.example:{served.port}/a%20b?c=d", accept=JSON)
    assert (answer.status, answer.headers["content-type"], answer.body) == (404, JSON, b"[]")
    (method, path, headers, _), *more = served.requests
    assert (method, path, more) == ("GET", "/a%20b?c=d", [])
    assert headers["host"] == f"idp.example:{served.port}"
    assert (headers["accept"], headers["accept-encoding"]) == (JSON, "identity")
    assert not {"cookie", "authorization", "referer"} & set(headers)


def test_a_form_is_posted(authority: Authority) -> None:
    with serving(answering(b"{}"), authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        fetching.fetch(
            f"https://idp.example:{served.port}/",
            accept=JSON,
            data={"a": "b&c"},
            headers=[("Authorization", "Basic x")],
        )
    ((method, _, headers, body),) = served.requests
    assert (method, body) == ("POST", b"a=b%26c")
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["authorization"] == "Basic x"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "idp.example",
        "//idp.example/",
        "ftp://idp.example/",
        "file:///etc/passwd",
        "https:///path",
        "https://user:secret@idp.example/",
        "https://@idp.example/",
        "https://idp.example\\@10.0.0.1/",
        "https://idp.example/a\\b",
        "https://idp.example/#secret",
        "https://idp.example/ secret",
        "https://idp.example/\r\nX: secret",
        "https://idp.exämple/",
        "https://idp..example/",
        "https://.example/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[127.0.0.1]/",
        "https://idp.example:0/",
        "https://idp.example:65536/",
        "https://idp.example:x/",
        "https://idp%2eexample/",
        "https://idp.example/" + "a" * 2048,
    ],
)
def test_urls_that_can_be_read_two_ways_are_refused(authority: Authority, url: str) -> None:
    names = Names()
    assert reason(outbound(authority, names), url) == "bad-url"
    assert names.asked == []


def test_a_url_is_taken_apart_once() -> None:
    target = read_url("HTTPS://Idp.Example?x=1")
    assert (target.secure, target.host, target.port, target.path) == (True, "idp.example", 443, "/?x=1")
    assert target.authority == "idp.example"
    assert read_url("https://[2606:4700:0::1111]:8443/").authority == "[2606:4700::1111]:8443"
    assert read_url("http://a/").authority == "a"


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        ["192.0.43.8", "127.0.0.1"],
        ["127.0.0.1", "192.0.43.8"],
    ],
)
def test_a_host_with_one_address_that_is_not_public_is_not_called(
    authority: Authority, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
    assert reason(outbound(authority, Names(idp_example=found), allow=""), "https://idp.example/") == "address"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "localhost", "0"]
)
def test_numbers_in_other_spellings_are_still_loopback(host: str) -> None:
    """By the system's own resolver, which reads all of these."""
    assert reason(Outbound.of(Settings()), f"https://{host}/") == "address"


def test_a_name_without_addresses_is_unresolved(authority: Authority) -> None:
    assert reason(outbound(authority, Names()), "https://idp.example/") == "unresolved"


def test_http_is_for_loopback_that_the_setting_names(authority: Authority) -> None:
    names = Names(localhost=["127.0.0.1"], public_example=["192.0.43.8"], inner_example=["10.0.0.1"])
    with serving(answering(b"{}"), None) as served:
        url = f"http://localhost:{served.port}/"
        assert outbound(authority, names, "localhost").fetch(url, accept=JSON).status == 200
        assert outbound(authority, names, "127.0.0.1").fetch(url, accept=JSON).status == 200
        assert reason(outbound(authority, names, ""), url) == "address"
    everywhere = outbound(authority, names, "0.0.0.0/0")
    assert reason(everywhere, "http://public.example/") == "scheme"
    assert reason(everywhere, "http://inner.example/") == "scheme"


def test_a_name_that_changes_its_address_is_asked_for_once(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer of the resolver would lead to another server."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up behind our back"))
    context = authority.certified("idp.example")
    with serving(answering(b'"checked"'), context, "127.0.0.2") as checked:
        calls = iter([[("127.0.0.2", checked.port)], [("127.0.0.3", checked.port)]])

        def rebinding(host: str, port: int) -> list[SocketAddress]:
            return list(next(calls))

        fetching = Outbound(
            outbound(authority, Names(), "127.0.0.2")._allowed, context=authority.trusting(), resolve=rebinding
        )
        url = f"https://idp.example:{checked.port}/"
        assert fetching.fetch(url, accept=JSON).body == b'"checked"'
        assert reason(fetching, url) == "address"
    assert len(checked.requests) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(authority: Authority) -> None:
    with serving(answering(b"{}"), authority.certified("idp.example"), "127.0.0.2") as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.9", "127.0.0.2"], dead_example=["127.0.0.9"]))
        assert fetching.fetch(f"https://idp.example:{served.port}/", accept=JSON).status == 200
        assert reason(fetching, f"https://dead.example:{served.port}/") == "unreachable"


def test_a_redirect_is_an_answer_and_is_not_followed(authority: Authority) -> None:
    location = (("Location", "http://169.254.169.254/latest/meta-data/"),)
    with serving(answering(b"", 302, location), authority.certified("idp.example")) as served:
        names = Names(idp_example=["127.0.0.1"])
        answer = outbound(authority, names).fetch(f"https://idp.example:{served.port}/", accept=JSON)
    assert (answer.status, names.asked, len(served.requests)) == (302, ["idp.example"], 1)


def test_the_certificate_must_be_the_name_s_and_of_a_known_authority(authority: Authority) -> None:
    names = Names(idp_example=["127.0.0.1"], other_example=["127.0.0.1"])
    with serving(answering(b"{}"), authority.certified("idp.example")) as served:
        assert reason(outbound(authority, names), f"https://other.example:{served.port}/") == "certificate"
        stranger = Outbound(outbound(authority, names)._allowed, resolve=names)
        assert reason(stranger, f"https://idp.example:{served.port}/") == "certificate"
    assert served.requests == []


def test_proxies_of_the_environment_are_not_used(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(answering(b"{}"), authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        assert fetching.fetch(f"https://idp.example:{served.port}/", accept=JSON).status == 200


def raw(*pieces: bytes, wait: float = 0.0) -> Handle:
    """Sends pieces as they are, with a pause after each, until the other side has gone."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        for piece in pieces:
            request.wfile.write(piece)
            time.sleep(wait)

    return handle


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "handle",
    [
        raw(*[b"H"] * 60, wait=0.05),
        raw(HEAD, *[b"X"] * 60, wait=0.05),
        raw(HEAD + b"Content-Length: 100\r\n\r\n", *[b"x"] * 60, wait=0.05),
        raw(HEAD + b"\r\n", *[b"x"] * 60, wait=0.05),
        raw(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 60, wait=0.05),
        raw(b"", wait=3),
    ],
    ids=["status", "headers", "body", "body of no length", "continue", "silence"],
)
def test_who_sends_byte_by_byte_is_cut_off(authority: Authority, handle: Handle) -> None:
    with serving(handle, authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]), time_limit=0.3)
        began = time.monotonic()
        assert reason(fetching, f"https://idp.example:{served.port}/") == "slow"
        assert time.monotonic() - began < 2


def test_a_handshake_that_does_not_end_is_cut_off(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]), time_limit=0.2)
        assert reason(fetching, f"https://idp.example:{silent.getsockname()[1]}/") == "slow"


def test_a_resolver_that_does_not_answer_is_left_behind_and_such_are_bounded(authority: Authority) -> None:
    hanging = threading.Event()

    def resolve(host: str, port: int) -> list[SocketAddress]:
        hanging.wait(10)
        return []

    fetching = Outbound(context=authority.trusting(), resolve=resolve, time_limit=0.05)
    reasons = [reason(fetching, "https://idp.example/") for _ in range(AT_ONCE + 1)]
    assert reasons == ["slow"] * AT_ONCE + ["busy"]
    hanging.set()
    while threading.active_count() > 1 and any(each.name == "outbound" for each in threading.enumerate()):
        time.sleep(0.01)
    assert reason(fetching, "https://idp.example/") == "unresolved"


@pytest.mark.parametrize(
    "handle",
    [
        answering(b"x" * 300_000),
        raw(HEAD + b"\r\n", b"x" * 300_000),
        answering(gzip.compress(bytes(50_000_000)), 200, (("Content-Encoding", "gzip"),)),
    ],
    ids=["long", "of no length", "unpacks to much"],
)
def test_a_long_answer_is_not_read_to_its_end(authority: Authority, handle: Handle) -> None:
    with serving(handle, authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        assert reason(fetching, f"https://idp.example:{served.port}/") == "too-large"


def test_a_packed_answer_is_unpacked(authority: Authority) -> None:
    packed = answering(gzip.compress(b"{}"), 200, (("Content-Encoding", "gzip"),))
    with serving(packed, authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        assert fetching.fetch(f"https://idp.example:{served.port}/", accept=JSON).body == b"{}"


@pytest.mark.parametrize(
    "handle",
    [
        raw(b"secret\r\n\r\n"),
        raw(b"HTTP/1.1 secret\r\n\r\n"),
        raw(HEAD + b"Content-Length: 10\r\n\r\nsecret"),
        raw(HEAD + b"A: " + b"a" * 70_000 + b"\r\n\r\n"),
        raw(HEAD + b"A: a\r\n" * 200 + b"\r\n"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nsecret"),
        answering(b"secret", 200, (("Content-Encoding", "gzip"),)),
    ],
    ids=["no http", "no status", "cut off", "long header", "many headers", "no chunk", "not packed"],
)
def test_answers_that_are_no_http_are_one_word(
    authority: Authority, handle: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(handle, authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        assert reason(fetching, f"https://idp.example:{served.port}/secret") == "bad-answer"
    assert "secret" not in caplog.text


def test_what_stands_in_place_of_headers_is_not_logged(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(raw(HEAD + b"secret\r\n\r\n"), authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        assert fetching.fetch(f"https://idp.example:{served.port}/secret", accept=JSON).status == 200
    assert "secret" not in caplog.text


def test_headers_cannot_be_smuggled(authority: Authority) -> None:
    with serving(answering(b"{}"), authority.certified("idp.example")) as served:
        fetching = outbound(authority, Names(idp_example=["127.0.0.1"]))
        with pytest.raises(OutboundError):
            fetching.fetch(f"https://idp.example:{served.port}/", accept="a\r\nX: y")
    assert served.requests == []
