"""NDJSON cut into batches that are loaded in one transaction each. https://hl7.org/fhir/R4/nd-json.html"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from fhir_server.bulk.work import LoadLines

LINES = 500
BYTES = 4 * 1024 * 1024
"""A batch ends after so many lines or bytes, whichever comes first: memory stays bounded however long lines are."""


def batches(path: Path, lines: Iterable[bytes | None]) -> Iterator[LoadLines]:
    """Cut the lines of a file into batches; blank lines are counted and left empty.

    Each digest covers the file from its beginning to the end of the batch, so that the same lines at another place, or
    after other lines, are other data, and a file is known again without being read to its end first.
    """
    chain = hashlib.sha256(b"fhir-server load ndjson")
    held: list[bytes | None] = []
    first, size = 1, 0
    for line in lines:
        held.append(line)
        text = b"\0" if line is None else line.strip()
        chain.update(text)
        chain.update(b"\n")
        size += len(text)
        if len(held) >= LINES or size >= BYTES:
            yield LoadLines(path, first, held, chain.digest())
            first += len(held)
            held, size = [], 0
    if held:
        yield LoadLines(path, first, held, chain.digest())


def of_document(content: bytes) -> bytes:
    """The digest of a file that holds one document."""
    return hashlib.sha256(b"fhir-server load document\n" + content.strip()).digest()
