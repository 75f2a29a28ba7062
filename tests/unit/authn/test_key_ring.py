"""Keys are replaced without signing anybody out. https://www.rfc-editor.org/rfc/rfc7517"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_server.authn import key_ring
from fhir_server.authn.key_ring import ES256, RS256, KeyRing, Kind, rotate
from fhir_server.settings import ConfigurationError

HOUR = 3600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ring.jwks"


@pytest.fixture
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "LOOKED_AT_SECONDS", -1.0)


@pytest.mark.parametrize("kind", [ES256, RS256], ids=lambda kind: kind.algorithm)
def test_a_ring_is_made_once_and_for_nobody_else_to_read(path: Path, kind: Kind) -> None:
    first, second = KeyRing(path, kind), KeyRing(path, kind)
    assert first.signing.kid == second.signing.kid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["ring.jwks"]
    (public,) = first.public_jwks()["keys"]
    assert public["kid"] == first.signing.kid
    assert public["alg"] == kind.algorithm
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(public)


@pytest.mark.usefixtures("looked_at_each_time")
def test_a_new_key_is_published_first_then_signs_and_the_old_one_goes_last(path: Path) -> None:
    now = [1_000_000.0]
    ring = KeyRing(path, ES256, lambda: now[0])
    old = ring.signing
    signed = jwt.encode({"alg": "ES256", "kid": old.kid}, {"sub": "a"}, old, algorithms=["ES256"])
    kid, dropped = rotate(path, ES256, int(now[0]), HOUR)
    assert dropped == []
    assert set(ring.by_id) == {old.kid, kid}
    assert ring.signing.kid == old.kid
    now[0] += key_ring.ANNOUNCED_SECONDS
    assert ring.signing.kid == kid
    assert jwt.decode(signed, ring.by_id[old.kid], algorithms=["ES256"]).claims == {"sub": "a"}
    now[0] += HOUR
    assert rotate(path, ES256, int(now[0]), HOUR)[1] == [], "what it signed last is just about to expire"
    now[0] += 1
    assert rotate(path, ES256, int(now[0]), HOUR)[1] == [old.kid]
    assert old.kid not in ring.by_id
    assert ring.signing.kid == kid


@pytest.mark.usefixtures("looked_at_each_time")
def test_keys_go_on_working_while_their_file_is_away(path: Path) -> None:
    ring = KeyRing(path, ES256)
    kid = ring.signing.kid
    away = path.with_name("away")
    path.rename(away)
    assert ring.signing.kid == kid


def test_a_single_jwk_is_a_ring(tmp_path: Path) -> None:
    file = tmp_path / "signing.jwk"
    key = ECKey.generate_key("P-256", private=True, auto_kid=True)
    file.write_text(json.dumps(key.as_dict(private=True)))
    assert KeyRing(file, ES256).signing.kid == key.kid


def test_of_keys_without_times_the_first_signs(tmp_path: Path) -> None:
    file = tmp_path / "signing.jwk"
    keys = [ECKey.generate_key("P-256", private=True, auto_kid=True) for _ in range(3)]
    file.write_text(json.dumps({"keys": [key.as_dict(private=True) for key in keys]}))
    ring = KeyRing(file, ES256)
    assert ring.signing.kid == keys[0].kid
    assert set(ring.by_id) == {key.kid for key in keys}


@pytest.mark.parametrize("text", ["", "[]", '{"keys": []}', '{"kty": "oct", "k": "AAAA"}', '{"kty": "RSA"}'])
def test_a_file_without_usable_keys_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "signing.jwk"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"signing\.jwk must hold"):
        KeyRing(file, ES256)


def test_a_public_key_and_another_curve_are_refused(tmp_path: Path) -> None:
    for number, key in enumerate(
        (
            ECKey.generate_key("P-256", private=True).as_dict(private=False),
            ECKey.generate_key("P-384", private=True).as_dict(private=True),
        )
    ):
        file = tmp_path / f"{number}.jwk"
        file.write_text(json.dumps(key))
        with pytest.raises(ConfigurationError):
            KeyRing(file, ES256)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="cannot be"):
        KeyRing(tmp_path / "keys" / "ring.jwks", ES256)
