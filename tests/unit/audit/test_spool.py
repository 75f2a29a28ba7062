"""What was written is read as it was, and what was not is told. docs/audit.md, "The spool" """

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.audit.spool import INTENT, RECORD, SEGMENT_BYTES, Spool, Torn, framed, orphan, orphans, unframed

PAYLOAD = st.binary(max_size=200).filter(lambda data: b"\n" not in data)


@given(st.sampled_from([RECORD, INTENT]), PAYLOAD)
def test_a_line_is_read_as_it_was_written(letter: bytes, payload: bytes) -> None:
    line = framed(letter, payload)
    assert line.endswith(b"\n")
    assert unframed(line[:-1]) == (letter, payload)


@given(PAYLOAD, st.data())
def test_a_line_that_was_cut_or_changed_is_torn(payload: bytes, data: st.DataObject) -> None:
    line = framed(RECORD, payload)[:-1]
    if data.draw(st.booleans()):
        changed = line[: data.draw(st.integers(0, len(line) - 1))]
    else:
        place = data.draw(st.integers(0, len(line) - 1))
        bit = data.draw(st.integers(0, 7))
        changed = line[:place] + bytes((line[place] ^ (1 << bit),)) + line[place + 1 :]
    with pytest.raises(Torn):
        unframed(changed)


def test_lines_are_read_until_they_are_settled(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "audit")
    assert spool.read() == ([], 0)
    spool.append(RECORD, b"a")
    spool.append(INTENT, b"b")
    lines, place = spool.read()
    assert [unframed(line) for line in lines] == [(RECORD, b"a"), (INTENT, b"b")]
    assert spool.read() == (lines, place)
    spool.append(RECORD, b"c")
    assert spool.settle(place) is None
    lines, place = spool.read()
    assert [unframed(line) for line in lines] == [(RECORD, b"c")]
    spool.settle(place)
    assert spool.waiting == 0
    assert spool.read()[0] == []


def test_a_line_longer_than_what_is_read_at_once_comes_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "audit")
    spool.append(RECORD, b"x" * 5000)
    spool.append(RECORD, b"y")
    lines, place = spool.read(most=1000)
    assert len(lines[0]) > 5000
    spool.settle(place)


def test_a_full_segment_is_left_for_a_new_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "audit")
    spool.append(RECORD, b"x" * SEGMENT_BYTES)
    _, place = spool.read()
    done = spool.settle(place)
    assert done is not None
    assert done.stat().st_size == place
    spool.append(RECORD, b"y")
    assert [unframed(line) for line in spool.read()[0]] == [(RECORD, b"y")]
    assert spool.directory is not None
    assert len(list(spool.directory.iterdir())) == 3


def test_only_its_own_user_reads_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "audit")
    spool.append(RECORD, b"a")
    assert spool.directory is not None
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.directory.iterdir()} == {0o600}


def test_a_line_that_the_disk_took_in_part_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "audit")
    spool.append(RECORD, b"a")
    real_write, real_truncate = os.write, os.ftruncate

    def full(fd: int, data: bytes) -> int:
        return real_write(fd, data[:10])

    def fails(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        spool.append(RECORD, b"b")
    monkeypatch.setattr(os, "ftruncate", fails)
    with pytest.raises(OSError, match="no"):
        spool.append(RECORD, b"c")
    monkeypatch.setattr(os, "write", real_write)
    with pytest.raises(OSError, match="no"):
        spool.append(RECORD, b"d")
    monkeypatch.setattr(os, "ftruncate", real_truncate)
    spool.append(RECORD, b"e")
    assert [unframed(line) for line in spool.read()[0]] == [(RECORD, b"a"), (RECORD, b"e")]


def test_a_directory_is_an_orphan_only_without_its_process(tmp_path: Path) -> None:
    living, other = Spool(tmp_path), Spool(tmp_path)
    living.append(RECORD, b"a")
    other.append(RECORD, b"b")
    assert living.directory is not None
    assert orphans(tmp_path, other.directory) == [living.directory]
    with orphan(living.directory) as segments:
        assert segments is None
    directory = living.directory
    living.close()
    with orphan(directory) as segments:
        assert segments is not None
        assert [unframed(s.read_bytes()[:-1]) for s in segments] == [(RECORD, b"a")]
        with orphan(directory) as second:
            assert second is None


def test_a_spool_with_nothing_in_it_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(RECORD, b"a")
    spool.settle(spool.read()[1])
    spool.close()
    assert list(tmp_path.iterdir()) == []
