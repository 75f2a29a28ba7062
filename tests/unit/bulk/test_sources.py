from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.bulk.sources import expand, opened
from fhir_server.errors import BadRequest, TooLarge
from fhir_server.settings import ConfigurationError

LIMIT = 1000
PATIENT = {"resourceType": "Patient", "active": True}
PRETTY = json.dumps(PATIENT, indent=2).encode()
COMPACT = json.dumps(PATIENT).encode()
PACKERS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}


def _document(path: Path, content: bytes, limit: int = LIMIT) -> bytes | None:
    path.write_bytes(content)
    with opened(path, limit) as source:
        return source.document()


def _lines(path: Path, content: bytes, limit: int = LIMIT) -> list[bytes | None]:
    path.write_bytes(content)
    with opened(path, limit) as source:
        return list(source.lines())


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("name", ["a.json", "a.ndjson.gz", "a.bz2", "a"])
def test_bytes_and_not_the_name_say_how_a_file_is_packed(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str
) -> None:
    assert _lines(tmp_path / name, pack(COMPACT + b"\n" + COMPACT)) == [COMPACT, COMPACT]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PRETTY, PRETTY),
        (COMPACT, COMPACT),
        (COMPACT + b"\n\n", COMPACT + b"\n\n"),
        (b"\xef\xbb\xbf" + COMPACT, COMPACT),
        (COMPACT + b"\n" + COMPACT, None),
        (COMPACT + b"\r\n\r\n" + COMPACT + b"\r\n", None),
        (b"\n\n" + COMPACT + b"\n" + COMPACT, None),
        (b'{"resourceType":\n"Patient"}\n', b'{"resourceType":\n"Patient"}\n'),
        (b"no JSON\nat all", b"no JSON\nat all"),
    ],
)
def test_content_tells_a_document_from_lines(tmp_path: Path, content: bytes, expected: bytes | None) -> None:
    assert _document(tmp_path / "a.json", content) == expected


def test_name_is_believed_where_the_first_line_is_broken(tmp_path: Path) -> None:
    broken = b'{"resourceType": "Pat\n' + COMPACT
    assert _document(tmp_path / "a.json", broken) == broken
    assert _document(tmp_path / "a.ndjson", broken) is None
    assert _document(tmp_path / "a.ndjson.gz", broken) is None


def test_pretty_document_that_is_called_ndjson_is_a_document(tmp_path: Path) -> None:
    assert _document(tmp_path / "a.ndjson", PRETTY) == PRETTY


@pytest.mark.parametrize("content", [b"", b"\n", b" \n \n"])
def test_empty_file_is_said_to_be_empty(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadRequest, match="empty"):
        _document(tmp_path / "a.json", content)


@pytest.mark.parametrize("content", [b"{" + b" " * LIMIT + b"}", b"{\n" + b" " * LIMIT + b"}", b"{}\n" + b" " * LIMIT])
def test_document_beyond_the_limit_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TooLarge, match="MAX_BODY_BYTES"):
        _document(tmp_path / "a.json", content)


def test_packed_document_beyond_the_limit_is_refused_without_unpacking_it_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b"{" + b" " * 300_000_000))
    with opened(path, LIMIT) as source:
        with pytest.raises(TooLarge):
            source.document()
        assert source.consumed() < path.stat().st_size


def test_line_beyond_the_limit_takes_no_other_with_it(tmp_path: Path) -> None:
    content = COMPACT + b"\n" + b"x" * (LIMIT + 600_000) + b"\n" + COMPACT + b"\n" + b"y" * (LIMIT + 1)
    assert _lines(tmp_path / "a.ndjson", content) == [COMPACT, None, COMPACT, None]


def test_line_of_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    longest = b"x" * LIMIT
    assert _lines(tmp_path / "a.ndjson", longest + b"\n" + longest) == [longest, longest]


@given(st.lists(st.binary(max_size=12).filter(lambda line: not set(line) & {10, 13}), max_size=6))
def test_lines_are_what_was_between_the_ends_of_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.ndjson"
    marked = [b"." + line for line in lines]
    path.write_bytes(bz2.compress(b"".join(line + b"\n" for line in marked)))
    with opened(path, LIMIT) as source:
        assert list(source.lines()) == marked


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("spoil", [lambda data: data[:-9], lambda data: data[:60] + b"\0" * 40 + data[100:]])
def test_damaged_file_is_an_issue(
    tmp_path: Path, pack: Callable[[bytes], bytes], spoil: Callable[[bytes], bytes]
) -> None:
    content = b"\n".join(json.dumps(PATIENT | {"id": str(n * n)}).encode() for n in range(300))
    with pytest.raises(BadRequest, match="damaged or cut off"):
        _lines(tmp_path / "a.ndjson", spoil(pack(content)))


def test_directory_gives_files_by_suffix_in_the_order_of_names(tmp_path: Path) -> None:
    for name in (
        "b.json",
        "a.ndjson.gz",
        "C.JSON.BZ2",
        "sub/a.json",
        "notes.txt",
        ".hidden.json",
        ".git/x.json",
        "z.csv",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(COMPACT)
    named = tmp_path / "notes.txt"
    found = expand([named, tmp_path, tmp_path / "b.json"])
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "notes.txt",
        "C.JSON.BZ2",
        "a.ndjson.gz",
        "b.json",
        "sub/a.json",
    ]


def test_directory_without_anything_to_load_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no file to load"):
        expand([tmp_path])


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        expand([tmp_path / "nowhere.json"])
