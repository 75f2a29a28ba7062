"""`fhir-server user`, `client`, `keys`, `launch-url` and `tenant settings`, as an operator runs them. docs/people.md"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from argon2 import PasswordHasher

from fhir_server import cli
from fhir_server.authn import passwords
from fhir_server.authn.passwords import Passwords
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tenant: Tenant,
    database: DatabaseUrls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """A function that runs `fhir-server` with these words, in which T is the tenant; ``read`` is its standard input."""
    quick = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(passwords, "standard", lambda: quick)
    monkeypatch.setenv("APP_DATABASE_URL", database.app)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*words: str, read: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(read))
        status = cli.run([tenant.slug if word == "T" else word for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


WHO = ("--tenant", "T", "--username", "amara")


def test_a_user_from_beginning_to_end(command: Command) -> None:
    status, out, _ = command("user", "create", *WHO, "--role", "physician", "--practitioner", "7", "--name", "Amara O.")
    assert status == 0
    line, _, password = out.strip().rpartition("\t")
    assert len(password) == 19
    assert line.split("\t")[:5] == ["amara", "new password needed", "physician", "Practitioner/7", "Amara O."]
    assert command("user", "create", *WHO, "--role", "staff")[0] == 1, "the name is taken"
    assert command("user", "list", "--tenant", "T")[1].strip() == line
    assert command("user", "set-password", *WHO, "--password-stdin", read="four unrelated words here\n")[:2] == (0, "")
    assert (
        command("user", "set-roles", *WHO, "--role", "staff", "--role", "billing")[1].split("\t")[2] == "staff,billing"
    )
    assert command("user", "disable", *WHO)[1].split("\t")[1] == "disabled"
    assert command("user", "enable", *WHO)[1].split("\t")[1] == "active"
    assert command("user", "end-sessions", *WHO)[1] == "0\n"
    assert command("user", "reset-second-factor", *WHO)[1] == "0\n"
    assert len(command("user", "set-password", *WHO)[1].strip()) == 19


@pytest.mark.parametrize(
    ("words", "read", "said"),
    [
        (("create", *WHO, "--role", "staff", "--password-stdin"), "short\n", "12 characters"),
        (("create", *WHO, "--role", "super_admin"), "", "Roles can be"),
        (("create", *WHO), "", "Roles can be"),
        (("create", *WHO, "--role", "patient", "--patient", "a/b"), "", "in FHIR must be"),
        (("create", *WHO, "--role", "patient", "--patient", "1", "--practitioner", "2"), "", "one of"),
        (("create", "--username", "amara", "--role", "staff"), "", "--tenant"),
        (("create", "--tenant", "T", "--platform", "--username", "a"), "", "--platform"),
        (("create", "--tenant", "nowhere", "--username", "a", "--role", "staff"), "", "no tenant"),
        (("disable", *WHO), "", "no user"),
    ],
)
def test_what_cannot_be_is_one_sentence(command: Command, words: tuple[str, ...], read: str, said: str) -> None:
    status, out, err = command("user", *words, read=read)
    assert status in (1, 2)
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_platform_operator(command: Command) -> None:
    status, out, _ = command("user", "create", "--platform", "--username", f"op-{id(command)}")
    assert status == 0
    assert out.split("\t")[2] == "super_admin"


def test_a_client_from_beginning_to_end(command: Command, tmp_path: Path) -> None:
    status, out, _ = command(
        "client", "create", "--tenant", "T", "--name", "Chart", "--redirect-uri", "https://app.example.org/cb",
        "--method", "client_secret_basic", "--launch-uri", "https://app.example.org/launch",
    )  # fmt: skip
    assert status == 0
    client_id, secret = out.strip().split("\t")
    assert len(secret) == 43
    listed = command("client", "list", "--tenant", "T")[1]
    assert listed == f"{client_id}\tactive\tclient_secret_basic\tChart\t-\n"
    assert secret not in listed
    assert command("client", "disable", "--tenant", "T", client_id)[0] == 0
    assert "\tdisabled\t" in command("client", "list", "--tenant", "T")[1]
    assert command("client", "approve", "--tenant", "T", client_id)[0] == 0
    command("user", "create", *WHO, "--role", "physician")
    url = command("launch-url", "--tenant", "T", "--app", client_id, "--user", "amara", "--patient", "p1")[1].strip()
    query = parse_qs(urlsplit(url).query)
    assert url.startswith("https://app.example.org/launch?")
    assert query["iss"][0].endswith("/fhir")
    assert len(query["launch"][0]) == 43
    assert command("client", "delete", "--tenant", "T", client_id)[0] == 0
    assert command("client", "delete", "--tenant", "T", client_id)[0] == 1
    assert len(command("client", "initial-access-token", "--tenant", "T")[1].strip()) == 43
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    status, _, err = command(
        "client", "create", "--tenant", "T", "--name", "S", "--scope", "system/Patient.rs", "--jwks", str(keys),
        "--method", "private_key_jwt",
    )  # fmt: skip
    assert status == 1
    assert "jwks" in err


def test_keys_are_listed_and_replaced(command: Command) -> None:
    listed = [line.split("\t") for line in command("keys", "list")[1].splitlines()]
    assert [(one[0], one[1], one[3]) for one in listed] == [
        ("access_token", "ES256", "signs"), ("id_token", "RS256", "signs"),
    ]  # fmt: skip
    assert command("keys", "rotate", "--after", "0")[0] == 0
    states = [line.split("\t")[3] for line in command("keys", "list")[1].splitlines()]
    assert states == ["verifies", "signs", "verifies", "signs"]


def test_settings_of_a_clinic(command: Command) -> None:
    shown = dict(line.split("\t") for line in command("tenant", "settings", "T")[1].splitlines())
    assert json.loads(shown["registration"]) == "off"
    changes = ("--set", 'registration="open"', "--set", "session_idle_minutes=30")
    shown = dict(line.split("\t") for line in command("tenant", "settings", "T", *changes)[1].splitlines())
    assert (json.loads(shown["registration"]), json.loads(shown["session_idle_minutes"])) == ("open", 30)
    secret = '{"issuer": "https://id.example.org", "client_id": "a", "client_secret": "hush"}'
    out = command("tenant", "settings", "T", "--set", f"upstream={secret}")[1]
    assert "hush" not in out
    assert "(sealed)" in out
    for wrong in ("nonsense=1", "registration=open", "registration", "demo_people=[]"):
        assert command("tenant", "settings", "T", "--set", wrong)[0] in (1, 2)
