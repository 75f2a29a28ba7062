"""Sealed secrets. https://www.rfc-editor.org/rfc/rfc5116"""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.sealing import SealBroken, Sealer

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
SEALER = Sealer(OLD)


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40))
def test_what_is_sealed_opens_in_its_context_only(plain: bytes, context: str) -> None:
    sealed = SEALER.seal(plain, context)
    assert SEALER.open(sealed, context) == plain
    with pytest.raises(SealBroken):
        SEALER.open(sealed, context + "1")


def test_it_is_aes_gcm_under_a_key_by_hkdf() -> None:
    # RFC 5869 by hand: extract with a salt of zeros, then the first block of expand.
    extracted = hmac.digest(bytes(32), OLD, hashlib.sha256)
    key = hmac.digest(extracted, b"fhir-server sealing 1\x01", hashlib.sha256)
    sealed = SEALER.seal(b"JBSWY3DPEHPK3PXP", "totp:1:a")
    assert sealed[:1] == b"\x01"
    assert AESGCM(key).decrypt(sealed[1:13], sealed[13:], b"\x01totp:1:a") == b"JBSWY3DPEHPK3PXP"


def test_every_changed_bit_is_noticed() -> None:
    sealed = SEALER.seal(b"secret", "a")
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(SealBroken):
            SEALER.open(bytes(changed), "a")


@pytest.mark.parametrize("length", [0, 1, 12, 28])
def test_what_was_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(SealBroken, match="not a value that the server has sealed"):
        SEALER.open(SEALER.seal(b"", "a")[:length], "a")


def test_the_same_secret_is_never_sealed_the_same_way() -> None:
    assert len({SEALER.seal(b"secret", "a") for _ in range(100)}) == 100


def test_after_rotation_the_new_secret_seals_and_the_old_one_still_opens() -> None:
    before = SEALER.seal(b"secret", "a")
    rotated = Sealer([NEW, OLD])
    assert rotated.open(before, "a") == b"secret"
    after = rotated.seal(b"secret", "a")
    assert Sealer(NEW).open(after, "a") == b"secret"
    with pytest.raises(SealBroken, match="no longer among"):
        SEALER.open(after, "a")


def test_an_error_says_nothing_of_the_secret() -> None:
    with pytest.raises(SealBroken) as caught:
        Sealer(NEW).open(SEALER.seal(b"hunter2", "totp:1:a"), "totp:1:a")
    assert "hunter2" not in str(caught.value)
    assert "totp" not in str(caught.value)


@pytest.mark.parametrize("secrets", [b"", b"short", [], [OLD, b"short"]])
def test_weak_secrets_are_refused(secrets: bytes | list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(secrets)


def test_a_context_is_needed() -> None:
    with pytest.raises(ValueError, match="context"):
        SEALER.seal(b"secret", "")
