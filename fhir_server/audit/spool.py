"""Where events are before PostgreSQL has them: files of this process that outlive it. docs/audit.md, "The spool"

What write() has taken is in the kernel's hands (https://man7.org/linux/man-pages/man2/write.2.html): no kill -9, of
this process or of PostgreSQL's, takes it away. Each process has a directory of its own and holds a lock on it for as
long as it lives (https://man7.org/linux/man-pages/man2/flock.2.html); without the lock the directory is an orphan, and
any other process on the machine may take it over.

A line is the length of what follows in 8 hexadecimal digits, its CRC-32 in 8 more, a blank, a letter (R for a record,
I for the intent of a write) and the event's JSON.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

RECORD, INTENT = b"R", b"I"
SEGMENT_BYTES = 1 << 20
"""A file that has grown to this is left for a new one, and removed once PostgreSQL has what is in it."""

_PREFIX = 17
_LOCK = "lock"


class Torn(Exception):
    """Some bytes of a spool file are no line as one was written."""


def framed(letter: bytes, payload: bytes) -> bytes:
    """One line of a spool file."""
    content = letter + payload
    return b"%08x%08x %b\n" % (len(content), crc32(content), content)


def unframed(line: bytes) -> tuple[bytes, bytes]:
    """The letter and the payload of a line without its end. Raises Torn."""
    letter, payload = line[_PREFIX : _PREFIX + 1], line[_PREFIX + 1 :]
    if letter not in (RECORD, INTENT) or framed(letter, payload) != line + b"\n":
        raise Torn
    return letter, payload


class Spool:
    """The spool of this process below ``root``; threads may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._directory: Path | None = None
        self._holder = -1
        self._fd = -1
        self._number = 0
        self._size = 0
        self._drained = 0
        self._torn = False

    @property
    def directory(self) -> Path | None:
        """Where this process writes; None before its first event."""
        return self._directory

    @property
    def waiting(self) -> int:
        """Bytes that have not been settled yet."""
        return self._size - self._drained

    def append(self, letter: bytes, payload: bytes) -> None:
        """Write one line. Raises OSError, and then nothing of it counts as written."""
        line = framed(letter, payload)
        with self._lock:
            if self._fd < 0:
                self._open_segment()
            if self._torn:
                self._take_back()
            written = os.write(self._fd, line)
            if written != len(line):
                self._torn = True
                self._take_back()
                raise OSError(errno.ENOSPC, "the disk is full")
            self._size += written

    def read(self, most: int = 4 * SEGMENT_BYTES) -> tuple[list[bytes], int]:
        """Whole lines that are not settled yet, at least one if there is any, and the place where they end."""
        with self._lock:
            fd, start, end = self._fd, self._drained, self._size
        if fd < 0 or start == end:
            return [], start
        data = os.pread(fd, min(end - start, most), start)
        if b"\n" not in data:
            data = os.pread(fd, end - start, start)
        data = data[: data.rfind(b"\n") + 1]
        return data.split(b"\n")[:-1], start + len(data)

    def sync(self) -> None:
        """Have what was written survive a loss of power, too."""
        fd = self._fd
        if fd >= 0:
            os.fdatasync(fd)

    def settle(self, place: int) -> Path | None:
        """PostgreSQL has everything up to ``place``.

        Answers the file that is done with, when a new one is begun: to be removed by `remove`, once the intents in it
        have their outcome.
        """
        with self._lock:
            self._drained = place
            if place < SEGMENT_BYTES or place != self._size or self._directory is None:
                return None
            done = self._path()
            os.close(self._fd)
            self._fd = -1
            return done

    def close(self) -> None:
        """Give the directory up: without anything in it that is not settled it goes, else it becomes an orphan."""
        with self._lock:
            if self._directory is None:
                return
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            if self._size == self._drained:
                shutil.rmtree(self._directory, ignore_errors=True)
            os.close(self._holder)
            self._directory = None

    def _path(self) -> Path:
        assert self._directory is not None  # noqa: S101 - for the type checker: a segment is in a directory
        return self._directory / f"{self._number:08d}"

    def _open_segment(self) -> None:
        if self._directory is None:
            self._directory, self._holder = _claim(self.root)
        self._number += 1
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path(), flags, 0o600)
        self._size = self._drained = 0

    def _take_back(self) -> None:
        """Cut a line off that was written in part: nothing may follow it. Raises OSError."""
        os.ftruncate(self._fd, self._size)
        self._torn = False


def _claim(root: Path) -> tuple[Path, int]:
    """A new directory below ``root`` whose lock this process holds, and the lock's descriptor."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{os.getpid()}-{uuid.uuid4().hex}"
    hidden = root / f".{name}"
    hidden.mkdir(mode=0o700)
    holder = os.open(hidden / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    # Others look at it under its name only, when the lock is held.
    hidden.rename(root / name)
    return root / name, holder


@contextlib.contextmanager
def orphan(directory: Path) -> Iterator[list[Path] | None]:
    """The segments, oldest first, of a process that has died, which nobody else touches during the block.

    None where the process lives, or another one has taken them over.
    """
    try:
        holder = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield sorted(path for path in directory.iterdir() if path.name != _LOCK) if directory.exists() else None
    finally:
        os.close(holder)


def orphans(root: Path, own: Path | None) -> list[Path]:
    """Directories that may be orphans: those below ``root`` but this process's own."""
    if not root.exists():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and path != own and not path.name.startswith("."))
