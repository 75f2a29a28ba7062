"""Files to load: found, decompressed and told apart by what is in them. https://hl7.org/fhir/R4/nd-json.html"""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fhir_server.errors import BadRequest, TooLarge
from fhir_server.settings import ConfigurationError

SUFFIXES = (".json", ".ndjson", ".jsonl")
PACKED = ("", ".gz", ".bz2")
_NAMES = tuple(suffix + packed for suffix in SUFFIXES for packed in PACKED)

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES_SUFFIXES = (".ndjson", ".jsonl")
_BLOCK = 1 << 18
"""Bytes that are read at a time."""


def expand(paths: Iterable[Path]) -> list[Path]:
    """Every file to load: those that are named, whatever they are called, and those in directories by their suffixes.

    In the order of ``paths``; within a directory, those below it included, in the order of their names. A file that is
    named twice comes once. Raises ConfigurationError for a path that cannot be read, or where there is nothing to load.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.name.lower().endswith(_NAMES) and _is_shown(p, path)]
            if not inside:
                raise ConfigurationError(f"There is no file to load in {path}: none ends in {', '.join(_NAMES)}.")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    for path in found:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from None
    return list(found)


def _is_shown(path: Path, below: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(below).parts)


class Source:
    """A file being read, decompressed, in lines and documents of up to ``limit`` bytes.

    Every method raises BadRequest where the file turns out to be damaged or cut off.
    """

    def __init__(self, path: Path, raw: BinaryIO, text: io.BufferedIOBase, limit: int) -> None:
        self._path = path
        self._raw = raw
        self._text = text
        self._limit = limit

    def consumed(self) -> int:
        """How many bytes of the file, as it lies on the disk, have been read."""
        return self._raw.tell()

    def lines(self) -> Iterator[bytes | None]:
        """Each line without its end; None in the place of one that is longer than the limit."""
        first = True
        while line := self._read_line(self._limit + 1):
            if len(line) > self._limit and not line.endswith(b"\n"):
                while (part := self._read_line(_BLOCK)) and not part.endswith(b"\n"):
                    pass
                yield None
            else:
                yield (line.removeprefix(_BYTE_ORDER_MARK) if first else line).rstrip(b"\r\n")
            first = False

    def document(self) -> bytes | None:
        """The one JSON document that the file holds, or None: it is NDJSON, with a document on each line.

        NDJSON has a whole object, or what looks like one, on its first line and another below; a file whose name says
        NDJSON is believed unless its first line is plainly unfinished. Raises TooLarge.
        """
        head = b""
        while not head.strip():
            head = self._read_line(self._limit + 1)
            if not head:
                raise BadRequest("The file is empty.", code="structure")
            head = head.removeprefix(_BYTE_ORDER_MARK)
        named = any(suffix in _LINES_SUFFIXES for suffix in self._path.suffixes)
        line = head.strip()
        if named and line[-1:] not in (b"{", b"[", b","):
            return None
        if len(head) > self._limit:
            raise self._too_large()
        rest = b""
        while not rest.strip() and len(rest) <= self._limit and (part := self._read_line(self._limit + 1)):
            rest += part
        if line.startswith(b"{") and line.endswith(b"}") and rest.lstrip().startswith(b"{"):
            return None
        whole = head + rest + self._guarded(lambda: self._text.read(max(0, self._limit - len(head) - len(rest)) + 1))
        if len(whole) > self._limit:
            raise self._too_large()
        return whole

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The document is longer than {self._limit} bytes (MAX_BODY_BYTES): split it up, or set a higher limit."
        )

    def _read_line(self, most: int) -> bytes:
        return self._guarded(lambda: self._text.readline(most))

    def _guarded(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise _unreadable(error) from None
            raise BadRequest("The compressed file is damaged or cut off.", code="structure") from None


def _unreadable(error: OSError) -> BadRequest:
    return BadRequest(f"The file cannot be read: {error.strerror}.", code="exception")


@contextmanager
def opened(path: Path, limit: int) -> Iterator[Source]:
    """Open a file: plain, gzip or bzip2, as its first bytes say. Raises BadRequest where it cannot be read.

    ``limit`` is the length in bytes of the longest line or document. https://www.rfc-editor.org/rfc/rfc1952#page-6
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise _unreadable(error) from None
    with raw:
        head = raw.peek(3)[:3]
        text: io.BufferedIOBase = raw
        if head.startswith(_GZIP):
            text = io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK)
        elif head.startswith(_BZIP2):
            text = io.BufferedReader(bz2.BZ2File(raw), _BLOCK)
        yield Source(path, raw, text, limit)
