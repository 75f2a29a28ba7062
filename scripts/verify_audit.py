#!/usr/bin/env python3
"""Tell whether an exported audit trail is as it was written: docs/audit.md. It needs Python 3.8 and nothing else.

    python verify_audit.py export.jsonl
    python verify_audit.py export.jsonl --head 1200:9f86d081884c7d65...

An export is JSON lines: a header, one line for each record with its number, its hash and its text, and the head of the
chain. The hash of a record is SHA-256(hash of the record before, its number as 8 bytes, its text in UTF-8); before the
first one stands SHA-256("fhir-server audit chain N"), N being the tenant_id of the header.

--head takes what `fhir-server audit head` printed earlier, or the head of an earlier export, kept where nobody who
could change the trail can change it. Without it an export cannot show that the last records are missing, nor that
all of it was written anew.

It exits with 0 where everything is in order, with 1 and the first thing that is not otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FORMAT = "fhir-server audit 1"


class Broken(Exception):
    """What is not in order."""


def parsed(line: str, number: int) -> dict[str, Any]:
    """One line of the export."""
    try:
        value = json.loads(line)
    except ValueError:
        raise Broken(f"line {number} is not JSON") from None
    if not isinstance(value, dict):
        raise Broken(f"line {number} is no JSON object")
    return value


def verify(lines: Iterable[str], head: tuple[int, str] | None = None) -> tuple[int, int, str]:
    """Check an export, given as an iterable of lines. Answers (records, the last one's number, its hash).

    ``head`` is (number, hash in hexadecimal) from elsewhere, or None. Raises Broken.
    """
    numbered = enumerate(lines, start=1)
    _, first_line = next(numbered, (0, "{}"))
    header = parsed(first_line, 1)
    try:
        if header["format"] != FORMAT:
            raise Broken("line 1 is not the header of an export that this program can read")
        tenant_id, first, last = int(header["tenant_id"]), int(header["first"]), int(header["last"])
        current = bytes.fromhex(header["previous"])
    except (KeyError, ValueError, TypeError):
        raise Broken("line 1 is not the header of an export that this program can read") from None
    if first == 1 and current != hashlib.sha256(f"fhir-server audit chain {tenant_id}".encode()).digest():
        raise Broken("the chain does not begin as the chain of this tenant does")
    kept_seq, kept_hash = (int(head[0]), bytes.fromhex(head[1])) if head else (0, b"")
    seen = check_head(first - 1, current, kept_seq, kept_hash)
    seq = first - 1
    end: Any = None
    for number, line in numbered:
        value = parsed(line, number)
        if end is not None:
            raise Broken(f"line {number} stands after the end")
        if "head" in value:
            end = value["head"]
            continue
        seq += 1
        current = check_record(value, number, seq, current, tenant_id)
        seen = check_head(seq, current, kept_seq, kept_hash) or seen
    if end is None:
        raise Broken("the end of the export is missing")
    check_end(end, seq, current, last, first)
    if head and not seen and kept_seq:
        if kept_seq > int(end["seq"]):
            raise Broken(f"the chain ends at record {end['seq']}, and it had {kept_seq} once")
        raise Broken(f"record {kept_seq}, whose hash was kept, is not among the records {first} to {seq}: export more")
    return seq - first + 1, seq, current.hex()


def check_record(value: dict[str, Any], number: int, seq: int, previous: bytes, tenant_id: int) -> bytes:
    """The hash of a record. Raises Broken where it is not the one that it has."""
    record = value.get("record")
    if not isinstance(record, str) or not isinstance(value.get("hash"), str):
        raise Broken(f"line {number} is no record")
    if value.get("seq") != seq:
        raise Broken(f"line {number}: record {seq} is missing, here is {value.get('seq')!r}")
    current = hashlib.sha256(previous + seq.to_bytes(8, "big") + record.encode("utf-8", "surrogatepass")).digest()
    if current.hex() != value["hash"]:
        raise Broken(f"line {number}: record {seq} was changed, or stands where it does not belong")
    if parsed(record, number).get("tenant_id") != tenant_id:
        raise Broken(f"line {number}: record {seq} is another tenant's")
    return current


def check_head(seq: int, current: bytes, kept_seq: int, kept_hash: bytes) -> bool:
    """Whether this is the record whose hash was kept. Raises Broken where it has another one."""
    if not kept_seq or seq != kept_seq:
        return False
    if current != kept_hash:
        raise Broken(f"record {seq} has another hash than the one that was kept: it or one before it was changed")
    return True


def check_end(end: dict[str, Any], seq: int, current: bytes, last: int, first: int) -> None:
    """The last line against what stood before it. Raises Broken."""
    try:
        end_seq, end_hash = int(end["seq"]), bytes.fromhex(end["hash"])
    except (KeyError, ValueError, TypeError):
        raise Broken("the last line does not say where the chain ends") from None
    if seq != last:
        raise Broken(f"the header says that the records are {first} to {last}, and they end at {seq}")
    if seq > end_seq or (seq == end_seq and current != end_hash):
        raise Broken(f"the chain does not end as its head says, with record {end_seq}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("export", help="the file that `fhir-server audit export` has written")
    parser.add_argument("--head", metavar="NUMBER:HASH", help="where the chain ended when you looked last")
    arguments = parser.parse_args()
    head = None
    if arguments.head:
        number, _, digest = arguments.head.partition(":")
        if not number.isdigit() or len(digest) != 64:
            parser.error("--head takes NUMBER:HASH as `fhir-server audit head` prints it")
        head = (int(number), digest)
    try:
        with Path(arguments.export).open(encoding="utf-8", newline="\n") as file:
            count, last, digest = verify(file, head)
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"{arguments.export} cannot be read: {error}")
    except Broken as broken:
        print(f"BROKEN: {broken}")
        return 1
    print(f"OK: {count} records in order; head {last}:{digest}")
    if head is None:
        print("Without --head this does not show whether records after them are missing, or all were written anew.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
