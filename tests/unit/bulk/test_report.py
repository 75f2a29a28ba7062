from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from fhir_server.bulk import report as report_module
from fhir_server.bulk.report import Report
from fhir_server.bulk.work import Failure, Place
from fhir_server.errors import Invalid, Issue
from fhir_server.settings import ConfigurationError


def _failure(line: int | None = None, entry: int | None = None, resource: object = None) -> Failure:
    error = Invalid(issues=[Issue("error", "value", "It must be one of the codes.", "Patient.gender")])
    return Failure.of(Place(Path("in/a.ndjson"), line, entry), 0, resource, error)


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_report_is_made_with_the_first_failure_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "a.ndjson"
    with Report(path) as report:
        report.write([])
        assert not path.exists()
        report.write([_failure(line=3, resource={"resourceType": "Patient"}), _failure(entry=0)])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert report.entries == 2
        # It can be read while the load goes on.
        assert _lines(path) == [
            {
                "file": "in/a.ndjson",
                "line": 3,
                "resourceType": "Patient",
                "issue": [
                    {
                        "severity": "error",
                        "code": "value",
                        "diagnostics": "It must be one of the codes.",
                        "expression": ["Patient.gender"],
                    }
                ],
            },
            {"file": "in/a.ndjson", "entry": 0, "issue": _lines(path)[0]["issue"]},
        ]


@pytest.mark.parametrize("resource", [None, [], {"resourceType": "<script>"}, {"resourceType": 7}])
def test_only_resource_types_are_named(resource: object) -> None:
    assert _failure(resource=resource).resource_type == ""


def test_what_is_held_is_written_or_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "HELD_BYTES", 100)
    path = tmp_path / "a.ndjson"
    with Report(path) as report:
        report.hold([_failure(line=1)] * 9)
        report.drop_held()
        report.hold([_failure(line=2)])
        report.hold([_failure(line=3)])
        assert not path.exists()
        assert report.write_held() == 2
        assert report.write_held() == 0
        assert report.entries == 2
    assert [line["line"] for line in _lines(path)] == [2, 3]


def test_report_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        Report(tmp_path / "file" / "a.ndjson") as report,
        pytest.raises(ConfigurationError, match=r"Cannot write the report .*a\.ndjson: "),
    ):
        report.write([_failure()])
