"""Character sets by the names of table 0211. https://terminology.hl7.org/CodeSystem-v2-0211.html"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.problems import Refused
from hl7_gateway.wire import charset

UTF8 = "UNICODE UTF-8"


def message(charset_name: str, text: str) -> str:
    return f"MSH|^~\\&|LAB|RIVERSIDE|||20240818||ADT^A04|1|P|2.5.1||||||{charset_name}\rPID|1||1||{text}\r"


@pytest.mark.parametrize(
    ("name", "python", "text"),
    [
        ("ASCII", "ascii", "MUELLER"),
        ("8859/1", "latin-1", "Müller é"),
        ("8859/2", "iso8859-2", "Łukasz Žižka"),
        ("8859/5", "iso8859-5", "Иванов"),
        ("8859/6", "iso8859-6", "محمد"),
        ("8859/7", "iso8859-7", "Παπαδόπουλος"),
        ("8859/8", "iso8859-8", "כהן"),
        ("8859/9", "iso8859-9", "Şahin"),
        ("8859/15", "iso8859-15", "12 €"),
        ("UNICODE UTF-8", "utf-8", "Zoë 山田 😀"),
        ("UNICODE", "utf-8", "Zoë 山田"),
        ("UNICODE UTF-16", "utf-16", "Zoë 山田"),
        ("UNICODE UTF-16", "utf-16-be", "Zoë 山田"),
        ("UNICODE UTF-32", "utf-32", "Zoë 山田"),
        ("ASCII~ISO IR87", "iso2022_jp", "山田^太郎"),
        ("~ISO IR87~ISO IR159", "iso2022_jp_ext", "山田^太郎 丂"),
        ("ISO IR14~ISO IR87", "iso2022_jp_ext", "ﾔﾏﾀﾞ^山田"),
        ("GB 18030-2000", "gb18030", "张伟"),
        ("KS X 1001", "euc_kr", "김철수"),
        ("BIG-5", "big5", "陳大文"),
    ],
)
def test_every_set_of_the_table(name: str, python: str, text: str) -> None:
    sent = message(name, text)
    raw = sent.encode(python)
    assert charset.declared(raw) == name
    found = charset.read(raw, charset.declared(raw), UTF8, "refuse")
    assert found.text == sent
    assert not found.unknown
    assert not found.replaced


@pytest.mark.parametrize(
    "name", ["8859/1", "8859-1", "ISO-8859-1", "iso8859_1", "ISO 8859/1", "latin1", "ISO IR 100", "ISO_IR 100"]
)
def test_names_are_read_leniently(name: str) -> None:
    assert charset.codec(name) == "iso8859-1"


def test_no_name_is_taken_for_another() -> None:
    assert charset.codec("8859/15") == "iso8859-15"
    assert charset.codec("utf-8") == "utf-8"
    assert charset.codec("") is None
    assert charset.codec("EBCDIC") is None


def test_e_acute_by_its_set() -> None:
    latin = message("8859/1", "Andr\u00e9").encode("latin-1")
    assert b"\xe9" in latin
    utf8 = message("UNICODE UTF-8", "Andr\u00e9").encode()
    for raw in (latin, utf8):
        assert "Andr\u00e9" in charset.decode(raw, charset.declared(raw), "ASCII", "refuse")


def test_invalid_bytes_are_told_by_their_place_only() -> None:
    raw = message("UNICODE UTF-8", "SMITH^Andr\u00e9").encode("latin-1")
    with pytest.raises(charset.InvalidBytes) as caught:
        charset.decode(raw, UTF8, UTF8, "refuse")
    error = caught.value
    assert isinstance(error, Refused)
    assert error.position == raw.index(b"\xe9")
    assert (error.code, error.acknowledgment) == (102, "AE")
    assert str(error.place) == "PID-5"
    assert "SMITH" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_invalid_bytes_are_replaced_by_policy() -> None:
    raw = message("UNICODE UTF-8", "Andr\u00e9").encode("latin-1")
    found = charset.read(raw, UTF8, UTF8, "replace")
    assert "Andr\ufffd\r" in found.text
    assert found.replaced


def test_what_is_said_to_be_ascii_is_read_by_the_default_of_the_feed() -> None:
    raw = message("ASCII", "Andr\u00e9").encode("latin-1")
    assert "Andr\u00e9" in charset.decode(raw, "ASCII", "8859/1", "refuse")
    with pytest.raises(charset.InvalidBytes):
        charset.decode(raw, "ASCII", UTF8, "refuse")
    with pytest.raises(charset.InvalidBytes):
        charset.decode(raw, "ASCII", "ASCII", "refuse")


def test_an_unknown_name_takes_the_default_and_says_so() -> None:
    raw = message("KLINGON", "Andr\u00e9").encode("latin-1")
    found = charset.read(raw, charset.declared(raw), "8859/1", "refuse")
    assert "Andr\u00e9" in found.text
    assert found.unknown
    with pytest.raises(ValueError, match="KLINGON"):
        charset.decode(raw, "", "KLINGON", "refuse")


def test_a_byte_order_mark_decides_and_goes() -> None:
    raw = b"\xef\xbb\xbf" + message("8859/1", "Zo\u00eb").encode()
    assert charset.declared(raw) == "8859/1"
    assert charset.decode(raw, "8859/1", "8859/1", "refuse") == message("8859/1", "Zo\u00eb")


def test_what_says_utf_16_but_is_not() -> None:
    raw = message("UNICODE UTF-16", "Zo\u00eb").encode()
    assert "Zo\u00eb" in charset.decode(raw, charset.declared(raw), UTF8, "refuse")


def test_windows_1252_that_calls_itself_8859_1() -> None:
    raw = message("8859/1", "O\u2019Brien \u2014 \u20ac").encode("cp1252")
    assert "O\u2019Brien \u2014 \u20ac" in charset.decode(raw, "8859/1", UTF8, "refuse")
    assert charset.decode(b"MSH|^~\\&|\x81", "8859/1", UTF8, "refuse").endswith("\x81")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"MSH:;~\\&:a:b:c:d:e::ADT;A01:1:P:2.5::::::8859/1\rPID:1", "8859/1"),
        (b"MSH|^~\\&|a|b|c|d|e||ADT^A01|1|P|2.5||||||\nPID|1", ""),
        (b"MSH|^~\\&|a|b\rPID|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20", ""),
        (b"MSH|^@\\&|a|b|c|d|e||ADT^A01|1|P|2.5||||||8859/1@ISO IR87|x", "8859/1~ISO IR87"),
        (b"", ""),
        (b"MSH", ""),
        (b"\x00\x01\x02", ""),
        (b"MSH|" + b"|" * 100_000, ""),
    ],
)
def test_msh_18_before_anything_is_decoded(raw: bytes, name: str) -> None:
    assert charset.declared(raw) == name


@given(st.binary(max_size=300), st.sampled_from([*charset._CODECS, "", "x"]), st.sampled_from(["refuse", "replace"]))
def test_any_bytes_become_a_text_or_an_error(raw: bytes, name: str, policy: charset.Policy) -> None:
    charset.declared(raw)
    try:
        text = charset.decode(raw, name, UTF8, policy)
    except charset.InvalidBytes as error:
        text = "" if policy == "refuse" and 0 <= error.position < len(raw) else "\ud800"
    assert text.encode("utf-8") is not None


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\r\n")))
def test_any_text_in_utf_8_comes_back(text: str) -> None:
    sent = message(UTF8, text)
    assert charset.decode(sent.encode(), UTF8, "ASCII", "refuse") == sent


@pytest.mark.parametrize("name", ["UNICODE UTF-8", "ISO IR87", "GB 18030-2000", "8859/1", "8859/6", "BIG-5"])
@pytest.mark.parametrize("unit", [b"\xff", b"\x1b$", b"\x80\x81", b"MSH\xe9"])
def test_hostile_bytes_take_linear_time(name: str, unit: bytes) -> None:
    raw = b"MSH|^~\\&|" + unit * (60_000 // len(unit))
    began = time.thread_time()
    charset.decode(raw, name, UTF8, "replace")
    assert time.thread_time() - began < 1
