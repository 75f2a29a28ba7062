"""The server's own signing keys, a JWK or a JWK Set in a file. https://www.rfc-editor.org/rfc/rfc7517"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from fhir_server.settings import ConfigurationError

ALGORITHM = "ES256"
"""https://www.rfc-editor.org/rfc/rfc7518#section-3.4, which SMART on FHIR asks of every server."""

CURVE = "P-256"
SCALAR_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """``signing`` signs; every key of ``by_id`` verifies, so that a key can be replaced without signing anyone out."""

    signing: ECKey
    by_id: Mapping[str, ECKey]

    def public_jwks(self) -> dict[str, Any]:
        """The public halves as a JWK Set. https://www.rfc-editor.org/rfc/rfc7517#section-5"""
        marks = {"use": "sig", "alg": ALGORITHM}
        return {"keys": [key.as_dict(private=False) | marks for key in self.by_id.values()]}

    def sealing_secrets(self) -> tuple[bytes, ...]:
        """What `crypto.sealing.Sealer` seals with, one for each key and the signing one's first.

        The signing keys lie outside the database, so whoever reads a copy of it opens nothing that is sealed there. A
        key that has signed must stay in the file until what it sealed was sealed anew.
        https://www.rfc-editor.org/rfc/rfc7518#section-6.2.2.1
        """
        ordered = [self.signing, *(key for key in self.by_id.values() if key is not self.signing)]
        numbers = (key.private_key.private_numbers() for key in ordered if key.private_key)
        return tuple(each.private_value.to_bytes(SCALAR_BYTES, "big") for each in numbers)


def load_or_create(path: Path) -> SigningKeys:
    """The keys in ``path``; a new one, readable by nobody else, where there is no such file.

    Processes that start at the same time agree: whoever links its file first has made the key, the others read it.
    Raises ConfigurationError for a file that cannot be read, written or understood.
    """
    try:
        if not path.exists():
            _create(path)
        text = path.read_text()
    except OSError as error:
        raise ConfigurationError(f"The signing key {path} cannot be read or made ({error.strerror}).") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> SigningKeys:
    """The keys of a JWK or a JWK Set; the first one signs. ``source`` names it in errors.

    Raises ConfigurationError for anything but private P-256 keys. https://www.rfc-editor.org/rfc/rfc7517
    """
    try:
        value = json.loads(text)
        keys = [ECKey.import_key(jwk) for jwk in value.get("keys", [value])]
        usable = keys and all(key.is_private and key.curve_name == CURVE for key in keys)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        usable = False
    if not usable:
        raise ConfigurationError(f"{source} must hold a JWK or a JWK Set of private {CURVE} keys, and does not.")
    return SigningKeys(keys[0], {key.kid or key.thumbprint(): key for key in keys})


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ECKey.generate_key(CURVE, private=True, auto_kid=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(key.as_dict(private=True), file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
