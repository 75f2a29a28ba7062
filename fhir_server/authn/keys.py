"""The server's own keys, each kind in a file of its own. docs/keys.md

The signing keys and the sealing key lie outside the database, so that whoever reads a copy of it can neither issue
access_tokens nor open what is sealed there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from fhir_server.authn.key_ring import ES256, RS256, KeyRing
from fhir_server.settings import ConfigurationError

SEALING_BYTES = 32


def load_or_create(path: Path) -> KeyRing:
    """The keys that sign access_tokens, in ``path``; made where there is no such file. Raises ConfigurationError.

    ES256, as SMART on FHIR asks of every server: https://www.rfc-editor.org/rfc/rfc7518#section-3.4
    """
    return KeyRing(path, ES256)


def identity_keys(path: Path) -> KeyRing:
    """The keys that sign id_tokens, in ``path``; made where there is no such file. Raises ConfigurationError.

    RS256, which every client of OpenID Connect understands: https://www.rfc-editor.org/rfc/rfc7518#section-3.3
    """
    return KeyRing(path, RS256)


def sealing_secrets(path: Path) -> tuple[bytes, ...]:
    """What `crypto.sealing.Sealer` seals with: a line of hexadecimal digits for each secret, the first of which seals.

    Made where there is no such file. Raises ConfigurationError for a file that cannot be read, made or understood.
    """
    try:
        if not path.exists():
            _make_sealing_key(path)
        found = tuple(bytes.fromhex(line) for line in path.read_text().split())
    except OSError as error:
        raise ConfigurationError(f"The sealing key {path} cannot be read or made ({error.strerror}).") from None
    except ValueError:
        found = ()
    if not found or any(len(one) < SEALING_BYTES for one in found):
        raise ConfigurationError(f"{path} must hold {2 * SEALING_BYTES} hexadecimal digits or more on each line.")
    return found


def _make_sealing_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(SEALING_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Whoever links its file first has made the key, the others read it.
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink()
