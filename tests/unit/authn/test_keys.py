from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

from fhir_server.authn import keys
from fhir_server.crypto.sealing import Sealer
from fhir_server.settings import ConfigurationError


def test_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.jwk"
    first = keys.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert keys.load_or_create(path).public_jwks() == first.public_jwks()
    assert [entry.name for entry in path.parent.iterdir()] == ["signing.jwk"]


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    path = tmp_path / "signing.jwk"
    with ThreadPoolExecutor(16) as pool:
        loaded = list(pool.map(lambda _: keys.load_or_create(path), range(64)))
    assert len({next(iter(each.by_id)) for each in loaded}) == 1


def test_jwks_shows_public_halves_only(tmp_path: Path) -> None:
    jwks = keys.load_or_create(tmp_path / "signing.jwk").public_jwks()
    (key,) = jwks["keys"]
    assert "d" not in key
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        "null",
        '{"keys": []}',
        '{"keys": 1}',
        json.dumps(ECKey.generate_key("P-256").as_dict(private=False)),
        json.dumps(ECKey.generate_key("P-384").as_dict(private=True)),
        json.dumps(RSAKey.generate_key(2048).as_dict(private=True)),
    ],
)
def test_file_without_private_p256_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "signing.jwk"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="must hold a JWK"):
        keys.load_or_create(path)


def test_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be"):
        keys.load_or_create(tmp_path / "file" / "signing.jwk")
    with pytest.raises(ConfigurationError, match="cannot be"):
        keys.sealing_secrets(tmp_path / "file" / "sealing.key")


def test_the_sealing_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sealing.key"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.sealing_secrets(path), range(16)))
    assert len(set(made)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_sealed_opens_after_the_sealing_key_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    before = keys.sealing_secrets(path)
    path.write_text("ab" * 32 + "\n" + path.read_text())
    after = keys.sealing_secrets(path)
    assert after[1:] == before
    assert Sealer(after).open(Sealer(before).seal(b"secret", "a"), "a") == b"secret"


@pytest.mark.parametrize("text", ["", "xyz", "ab" * 31])
def test_a_sealing_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sealing.key"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="hexadecimal"):
        keys.sealing_secrets(path)
