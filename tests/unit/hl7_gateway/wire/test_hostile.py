"""Any bytes from the socket to the acknowledgment: nothing but an answer or an error of ours. docs/hl7.md"""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hl7_gateway.message import Message
from hl7_gateway.problems import Malformed, Refused
from hl7_gateway.wire import charset
from hl7_gateway.wire.acknowledgment import acknowledge, modes
from hl7_gateway.wire.batch import split
from hl7_gateway.wire.checks import check
from hl7_gateway.wire.client import read
from hl7_gateway.wire.files import messages
from hl7_gateway.wire.mllp import frame

NOW = datetime(2026, 11, 26, tzinfo=UTC)
PIECES = st.sampled_from(
    b'MSH | ^~\\& ^ ~ \\ & # \r \n PID ADT^A01 SECRET \xe9 \x00 2.5.1 2.3 P UNICODE ||||| FHS BTS "" \xff\xfe'.split(
        b" "
    )
)
HEADERS = st.sampled_from(
    [b"", b"MSH|^~\\&|", b"MSH:;~\\&:", b"MSH|^~\\&|A|B|C|D|1||ADT^A01|", b"M\x00S\x00H\x00|\x00"]
)


def answer(raw: bytes) -> bytes:
    """What a receiver does with bytes, step by step."""
    try:
        text = charset.decode(raw, charset.declared(raw), "UNICODE UTF-8", "refuse")
        message = Message(text)
    except Refused as refused:
        return acknowledge(raw, "AE", "G1", [refused], NOW)
    except Malformed as malformed:
        return acknowledge(raw, "AR", "G1", [Refused(100, "AR", None, str(malformed))], NOW)
    modes(message)
    try:
        check(message, {"ADT": {"A01"}})
    except Refused as refused:
        return acknowledge(message, "AE", "G1", [refused], NOW)
    return acknowledge(message, "AA", "G1", [], NOW)


@given(HEADERS, st.lists(PIECES, max_size=25).map(b"".join) | st.binary(max_size=80))
@settings(max_examples=150)
@example(b"MSH|^~\\&|", b"\xff")
@example(b"MSH|^~\\&|||||||ADT^A01|1\n2|P|2.5.1\r", b"PID|1||1")
def test_whatever_comes_is_answered(header: bytes, rest: bytes) -> None:
    sent = answer(header + rest)
    frame(sent)
    assert read(sent).code in ("AA", "AE", "AR")
    assert b"\n" not in sent
    # The header goes back as it came; nothing else of the message does.
    assert b"SECRET" not in sent or b"SECRET" in (header + rest).replace(b"\n", b"\r").split(b"\r")[0]
    assert sent.split(b"\r")[0][3:4] in (b"|", b":") or header == b""


@given(HEADERS, st.lists(PIECES, max_size=25).map(b"".join))
@settings(max_examples=60)
def test_whatever_is_in_a_file_is_taken_apart(header: bytes, rest: bytes) -> None:
    raw = header + rest
    for text in split(raw.decode("latin-1")).messages:
        assert text.startswith("MSH")
    try:
        found = messages(raw)
    except Malformed:
        found = [b"MSH"]
    assert found
    assert all(one.startswith(b"MSH") for one in found)
