"""The report of what could not be loaded and why, one JSON object a line. https://jsonlines.org/"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from fhir_server.bulk.work import Failure
from fhir_server.r4 import json
from fhir_server.settings import ConfigurationError


class Report:
    """A file that is made with the first failure; only its owner can read it, since issues may quote what was refused.

    Each line has ``file``, ``line`` (from 1) or ``entry`` (from 0) or both, ``resourceType`` where known, and
    ``issue`` as in https://hl7.org/fhir/R4/operationoutcome.html.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, failures: Iterable[Failure]) -> None:
        """Add failures, and have them in the file. Raises ConfigurationError where it cannot be written."""
        lines = [json.dumps(_to_json(failure)) + b"\n" for failure in failures]
        if not lines:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                self._file = os.fdopen(descriptor, "wb")
            self._file.writelines(lines)
            self._file.flush()
        except OSError as error:
            raise ConfigurationError(f"Cannot write the report {self.path}: {error.strerror}.") from None
        self.entries += len(lines)


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
