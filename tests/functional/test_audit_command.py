"""`fhir-server audit` and the program that an auditor runs, as they are run. docs/audit.md, "Verifying" """

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_server import cli
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api

Command = Callable[..., tuple[int, str, str]]
PROGRAM = Path(__file__).parents[2] / "scripts" / "verify_audit.py"


@pytest.fixture
def command(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A function that runs `fhir-server audit` and answers its status and what it printed."""
    monkeypatch.setenv("APP_DATABASE_URL", database.app)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.run(["audit", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def auditor(*words: str) -> tuple[int, str]:
    """Run the program as an auditor does, with nothing of ours to be imported."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), *words], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def recorded(api: Api) -> Api:
    """A clinic in which something was done."""
    for _ in range(3):
        api.put("Patient/p", {"resourceType": "Patient", "id": "p", "name": [{"family": "Söze"}]})
        api.get("Patient?name=S%C3%B6ze")
    api.app.trail.flush()
    return api


def test_what_was_recorded_is_verified(recorded: Api, command: Command, tmp_path: Path) -> None:
    assert command("verify", "--tenant", recorded.slug) == (0, f"{recorded.slug}\t6\tin order\n", "")
    status, printed, _ = command("head", "--tenant", recorded.slug)
    slug, head = printed.split()
    assert (status, slug) == (0, recorded.slug)
    assert re.fullmatch("6:[0-9a-f]{64}", head)
    assert command("verify", "--tenant", recorded.slug, "--head", head)[0] == 0
    file = tmp_path / "export.jsonl"
    assert command("export", "--tenant", recorded.slug, "--out", str(file))[:2] == (0, f"{recorded.slug}\t6\t{file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    status, said = auditor(str(file), "--head", head)
    assert (status, said) == (0, f"OK: 6 records in order; head {head}\n")
    assert auditor(str(file))[0] == 0
    # One letter of one record.
    file.write_text(file.read_text().replace("Patient/p", "Patient/q", 1))
    status, said = auditor(str(file), "--head", head)
    assert status == 1
    assert said.startswith("BROKEN: line 2: record 1 was changed")


def test_a_chain_that_ends_too_early_is_told(recorded: Api, command: Command, tmp_path: Path) -> None:
    later = "7:" + "0" * 64
    status, said, _ = command("verify", "--tenant", recorded.slug, "--head", later)
    assert status == 1
    assert "the last ones were removed" in said
    file = tmp_path / "export.jsonl"
    command("export", "--tenant", recorded.slug, "--out", str(file))
    assert auditor(str(file), "--head", later) == (1, "BROKEN: the chain ends at record 6, and it had 7 once\n")


def test_a_period_is_exported(recorded: Api, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    assert command("export", "--tenant", recorded.slug, "--from", "2100-01", "--out", str(file))[0] == 0
    header, end = map(json.loads, file.read_text().splitlines())
    assert (header["first"], header["last"], end["head"]["seq"]) == (1, 0, 6)
    assert auditor(str(file))[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify"], "--all"),
        (["verify", "--all", "--tenant", "x"], "--all"),
        (["verify", "--tenant", "nobody"], "There is no tenant 'nobody'"),
        (["verify", "--all", "--head", "1:" + "0" * 64], "--head is of one --tenant"),
        (["verify", "--tenant", "x", "--head", "1"], "NUMBER:HASH"),
        (["export", "--tenant", "x", "--from", "soon", "--out", "/dev/null"], "'soon' is no date"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(command: Command, words: list[str], said: str) -> None:
    status, out, err = command(*words)
    assert status in (1, 2)
    assert out == ""
    assert said in err


@pytest.mark.parametrize("words", [["nowhere.jsonl"], [__file__], [__file__, "--head", "x"]])
def test_the_program_says_what_it_cannot_read(words: list[str]) -> None:
    status, said = auditor(*words)
    assert status in (1, 2)
    assert "Traceback" not in said
