"""`fhir-server assignment`, as an operator runs it. docs/care.md, "Assignments" """

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from fhir_server import cli
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api

Command = Callable[..., tuple[int, str, str]]
ACCOUNT = str(UUID(int=7))


@pytest.fixture
def command(
    api: Api, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """A function that runs `fhir-server assignment` for the tenant of ``api``, which has the patient p."""
    api.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    monkeypatch.setenv("APP_DATABASE_URL", database.app)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(word: str, *words: str) -> tuple[int, str, str]:
        status = cli.run(["assignment", word, "--tenant", api.slug, *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_an_assignment_from_its_beginning_to_its_end(command: Command) -> None:
    matter = ("--kind", "matter", "--matter", "Docket\t1", "--from", "2026-01-01", "--until", "2026-12-31")
    status, number, _ = command("create", "--user", ACCOUNT, "--patient", "p", *matter, "--reason", "Retained")
    assert status == 0
    number = number.strip()
    times = "2026-01-01T00:00:00.000Z\t2027-01-01T00:00:00.000Z"
    line = f"{number}\tset\tUser/{ACCOUNT}\tp\tmatter\t{times}\tDocket 1\tRetained\n"
    for words in ((), ("--patient", "p"), ("--user", ACCOUNT), ("--user", f"User/{ACCOUNT}")):
        assert command("list", *words) == (0, line, "")
    assert command("list", "--patient", "q") == (0, "", "")
    assert command("revoke", "--patient", "q", number)[0] == 1
    assert command("revoke", "--patient", "p", number) == (0, "", "")
    assert command("revoke", "--patient", "p", number)[0] == 1
    assert command("list")[1].split("\t")[1] == "revoked"


def test_practitioners_are_named_by_reference(command: Command, api: Api) -> None:
    words = ("--user", "Practitioner/d", "--patient", "p", "--until", "9999", "--reason", "x")
    assert command("create", *words) == (1, "", "fhir-server: Practitioner/d is not known.\n")
    api.put("Practitioner/d", {"resourceType": "Practitioner", "id": "d"})
    assert command("create", *words)[0] == 0
    assert command("list", "--user", "Practitioner/d")[1].split("\t")[5:7] == ["-", "-"]


@pytest.mark.parametrize(
    "words",
    [
        ("--user", "nobody", "--patient", "p", "--until", "2030", "--reason", "x"),
        ("--user", ACCOUNT, "--patient", "none", "--until", "2030", "--reason", "x"),
        ("--user", ACCOUNT, "--patient", "p", "--until", "soon", "--reason", "x"),
        ("--user", ACCOUNT, "--patient", "p", "--until", "2030", "--reason", " "),
        ("--user", ACCOUNT, "--patient", "p", "--until", "2030", "--reason", "x", "--kind", "matter"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, words: tuple[str, ...]) -> None:
    status, out, err = command("create", *words)
    assert (status, out, err.count("\n")) == (1, "", 1)
