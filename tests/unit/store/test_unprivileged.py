from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from fhir_server.settings import ConfigurationError
from fhir_server.store import postgres_binaries
from fhir_server.store.unprivileged import Identity, identity, let_reach, may_read

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")


def _nobody() -> Identity:
    entry = pwd.getpwnam("nobody")
    return Identity(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _reads(path: Path) -> bool:
    """Whether nobody can in fact read ``path``: the oracle."""
    who = _nobody()
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec cat "$0" >/dev/null', str(path)],
        user=who.uid,
        group=who.gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs another user")
def test_ordinary_user_needs_nobody_else() -> None:
    assert identity("fhir-server") is None


@as_root
def test_root_is_no_choice() -> None:
    with pytest.raises(ConfigurationError, match="must not be root"):
        identity("root")


@as_root
def test_user_that_cannot_be_created_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.store.unprivileged.time.sleep", lambda _: None)
    with pytest.raises(ConfigurationError, match="EMBEDDED_POSTGRES_USER") as caught:
        identity("no/such:user")
    assert "\n" not in str(caught.value)


@as_root
def test_passing_through_is_granted_to_one_user_and_nothing_else(tmp_path: Path) -> None:
    private = tmp_path / "private"
    inner = private / "inner"
    inner.mkdir(parents=True)
    private.chmod(0o700)
    (private / "secret").write_text("x")
    (private / "secret").chmod(0o600)
    shared = inner / "shared"
    shared.write_text("x")
    shared.chmod(0o644)
    who = _nobody()
    assert may_read(shared, who) == _reads(shared) is False
    let_reach(shared, who)
    assert may_read(shared, who) == _reads(shared) is True
    assert not _reads(private / "secret")
    # The other bits stay as they were: nobody else was let in.
    assert private.stat().st_mode & 0o007 == 0
    listing = subprocess.run(
        ["ls", str(private)], user=who.uid, group=who.gid, extra_groups=[], cwd="/", capture_output=True, check=False
    )
    assert listing.returncode != 0


@as_root
def test_grant_survives_repetition_and_a_later_chmod(tmp_path: Path) -> None:
    who = _nobody()
    directory = tmp_path / "d"
    directory.mkdir()
    shared = directory / "shared"
    shared.write_text("x")
    for mode in (0o700, 0o700, 0o750):
        directory.chmod(mode)
        let_reach(shared, who)
        let_reach(shared, who)
        assert may_read(shared, who) == _reads(shared) is True


@as_root
def test_programs_that_nobody_can_read_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "may_read", lambda path, who: False)
    who = _nobody()
    let_reach(tmp_path / "x", who)
    binaries = postgres_binaries.locate(tmp_path, who)
    assert tmp_path in binaries.parents
    for program in ("postgres", "initdb"):
        shown = subprocess.run(
            [binaries / program, "--version"],
            user=who.uid,
            group=who.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"(PostgreSQL) {postgres_binaries.MAJOR_VERSION}." in shown.stdout
    copied = (binaries / "postgres").stat().st_ino
    assert postgres_binaries.locate(tmp_path, who) == binaries
    assert (binaries / "postgres").stat().st_ino == copied
