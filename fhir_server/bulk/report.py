"""The report of what could not be loaded and why, one JSON object a line. https://jsonlines.org/"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from fhir_server.bulk.work import Failure
from fhir_server.r4 import json
from fhir_server.settings import ConfigurationError

HELD_BYTES = 4 * 1024 * 1024


class Report:
    """A file that is made with the first failure; only its owner can read it, since issues may quote what was refused.

    Each line has ``file``, ``line`` (from 1) or ``entry`` (from 0) or both, ``resourceType`` where known, and
    ``issue`` as in https://hl7.org/fhir/R4/operationoutcome.html.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = 0
        self._file: BinaryIO | None = None
        self._held = _Held()

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()
        if self._file is not None:
            self._file.close()

    def write(self, failures: Iterable[Failure]) -> None:
        """Add failures, and have them in the file. Raises ConfigurationError where it cannot be written."""
        self._write([_to_line(failure) for failure in failures])

    def hold(self, failures: Iterable[Failure]) -> None:
        """Keep failures that may yet turn out to be none."""
        self._held.add([_to_line(failure) for failure in failures])

    def drop_held(self) -> None:
        """Forget them: what they are about is tried again."""
        self._held.close()
        self._held = _Held()

    def write_held(self) -> int:
        """Add them, since they are failures after all; returns how many. Raises ConfigurationError as `write`."""
        before = self.entries
        self._write(self._held.lines())
        self.drop_held()
        return self.entries - before

    def _write(self, lines: Iterable[bytes]) -> None:
        try:
            for line in lines:
                if self._file is None:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                    self._file = os.fdopen(descriptor, "wb")
                self._file.write(line)
                self.entries += 1
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise ConfigurationError(f"Cannot write the report {self.path}: {error.strerror}.") from None


class _Held:
    """Lines in memory as long as they are few, else in a file that nobody else sees."""

    def __init__(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(max_size=HELD_BYTES)  # noqa: SIM115 - closed by close()

    def add(self, lines: list[bytes]) -> None:
        self._spool.writelines(lines)

    def lines(self) -> Iterator[bytes]:
        self._spool.seek(0)
        return iter(self._spool)

    def close(self) -> None:
        self._spool.close()


def _to_line(failure: Failure) -> bytes:
    return json.dumps(_to_json(failure)) + b"\n"


def _to_json(failure: Failure) -> dict[str, Any]:
    place = failure.place
    found: dict[str, Any] = {"file": str(place.path)}
    if place.line is not None:
        found["line"] = place.line
    if place.entry is not None:
        found["entry"] = place.entry
    if failure.resource_type:
        found["resourceType"] = failure.resource_type
    found["issue"] = [issue.to_json() for issue in failure.issues]
    return found
