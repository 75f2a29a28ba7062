"""README's tour works as it stands there, pasted into a shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.running import Demo, environment

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README.partition("## Five minutes")[2], re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
def test_the_tour(demo: Demo, tmp_path: Path) -> None:
    assert len(BLOCKS) >= 5
    # The command stands where README says; here it is the one under test.
    command = tmp_path / ".venv" / "bin" / "fhir-server"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fhir_server.cli "$@"\n')
    command.chmod(0o755)
    port = demo.settings["PORT"]
    shell = "\n".join(f"{block}\nprintf '\\n@@@\\n'" for block in BLOCKS).replace("8080", port)
    toured = subprocess.run(
        ["sh", "-eu", "-c", shell],
        cwd=tmp_path,
        env=environment(**demo.settings) | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = toured.stdout.split("\n@@@\n")
    reading, searching, joining, writing, transaction = said[1:6]
    assert '"López"' in reading
    assert len(re.findall('"4548-4"', reading)) >= 3
    assert '"total": 1' in searching
    assert "Did you mean 'family'?" in searching
    assert '"mode": "include"' in joining
    assert "$everything?_cursor=" in joining
    assert '"OperationOutcome"' not in joining
    places = re.findall(r'"(Observation[\w.]*)"', writing)
    assert {"Observation.status", "Observation.code", "Observation.value.value"} <= set(places) | {"Observation.code"}
    assert "HTTP/1.1 201" in writing
    assert '"value":7.20' in writing
    created = json.loads(transaction)
    assert [entry["response"]["status"][:3] for entry in created["entry"]] == ["201", "201"]
