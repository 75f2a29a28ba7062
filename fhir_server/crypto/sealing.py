"""Secrets that must be read again (second factors, providers' passwords), encrypted for the database.

AES-256-GCM, https://www.rfc-editor.org/rfc/rfc5116#section-5.2; its key by HKDF, https://www.rfc-editor.org/rfc/rfc5869
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
"""The first byte of everything sealed, so that another algorithm can follow this one."""

SHORTEST_SECRET = 32
_PURPOSE = b"fhir-server sealing 1"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealBroken(ValueError):
    """What was to be opened was changed, belongs to another context, or was sealed with a secret no longer known."""


class Sealer:
    """Seals bytes for one context each; safe to share between threads.

    ``secrets`` are the server's own, of 32 bytes or more: the first one seals, every one opens, so that a secret can be
    replaced without losing what the one before has sealed.
    """

    __slots__ = ("_ciphers",)

    def __init__(self, secrets: bytes | Sequence[bytes]) -> None:
        given = [secrets] if isinstance(secrets, bytes) else list(secrets)
        if not given or any(len(secret) < SHORTEST_SECRET for secret in given):
            raise ValueError(f"sealing needs secrets of at least {SHORTEST_SECRET} bytes")
        self._ciphers = [AESGCM(_key(secret)) for secret in given]

    def seal(self, plain: bytes, context: str) -> bytes:
        """``plain`` encrypted; only the same ``context`` ("totp:{tenant}:{person}") opens it again.

        A value moved to another row is thus not opened there. https://www.rfc-editor.org/rfc/rfc5116#section-2.1
        """
        nonce = os.urandom(_NONCE_BYTES)
        return VERSION + nonce + self._ciphers[0].encrypt(nonce, plain, _bound(context))

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for ``context``; SealBroken for anything else.

        https://www.rfc-editor.org/rfc/rfc5116#section-2.2
        """
        if sealed[:1] != VERSION or len(sealed) < len(VERSION) + _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken("This is not a value that the server has sealed.")
        nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        bound = _bound(context)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, encrypted, bound)
            except InvalidTag:
                continue
        raise SealBroken(
            "A sealed value does not open: it was changed or moved, or the secret that sealed it is no longer among "
            "the server's sealing secrets."
        )


def _key(secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)


def _bound(context: str) -> bytes:
    if not context:
        raise ValueError("a sealed value needs a context")
    return VERSION + context.encode()
