from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from fhir_server import __version__
from fhir_server.cli import COMMANDS, cli, run
from fhir_server.commands.access_token import SCOPES
from fhir_server.commands.example import example


def _all_commands() -> list[list[str]]:
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        found.append([name])
        if isinstance(command, click.Group):
            found += [[name, inner] for inner in command.commands]
    return found


@pytest.mark.parametrize("words", [[], *_all_commands()], ids=" ".join)
def test_every_command_has_help_with_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(" ".join(["Usage: fhir-server", *words]))
    assert "fhir-server" in shown.partition("Example:\n")[2]


def test_example_is_not_wrapped() -> None:
    line = "fhir-server " + "x" * 200
    assert line in example(line)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nosuch"], "No such command 'nosuch'."),
        (["access-token"], "Missing option '--tenant'."),
        (["access-token", "--tenant", "x", "--lifetime", "0"], "Invalid value for '--lifetime'"),
        (["access-token", "--tenant", "x", "--scope", "a  b"], "--scope must be SMART scopes"),
        (["tenant", "create"], "Missing argument 'SLUG'."),
    ],
)
def test_wrong_command_line_is_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"fhir-server: {sentence}")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("words", [["up"], ["web"], ["worker"], ["migrate"], ["tenant", "list"]], ids=" ".join)
def test_wrong_setting_is_one_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "http")
    assert run(words) == 1
    shown = capsys.readouterr()
    assert shown.err == "fhir-server: PORT must be a whole number from 1 to 65535, and 'http' is not.\n"


def test_defect_is_one_line_without_values(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("patient Müller")

    monkeypatch.setattr("fhir_server.settings.Settings.from_env", broken)
    assert run(["tenant", "list"]) == 1
    shown = capsys.readouterr().err
    assert "unexpected RuntimeError at " in shown
    assert "Müller" not in shown
    assert shown.count("\n") == 1


def test_help_does_not_load_the_web_server() -> None:
    code = "import sys; from fhir_server.cli import run; run(['tenant', '--help']); print('flask' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.endswith("False\n")


def test_program_is_the_one_that_is_installed() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'fhir-server = "fhir_server.cli:main"' in pyproject


@pytest.mark.parametrize("scope", ["system/*.cruds", "patient/Observation.rs?category=laboratory openid", "a"])
def test_scopes_that_are_taken(scope: str) -> None:
    assert SCOPES.fullmatch(scope)


@pytest.mark.parametrize("scope", ["", " a", "a ", "a  b", 'a"b', "a\\b", "a\nb", "ä"])
def test_scopes_that_are_refused(scope: str) -> None:
    assert not SCOPES.fullmatch(scope)
