"""Signing keys that are replaced while the server runs. https://www.rfc-editor.org/rfc/rfc7517

A ring is a file with a JWK Set of private keys. Each key says since when it signs (``nbf``, seconds since 1970): a new
one is published a while before, so that whoever remembers our keys has heard of it, and old ones verify until what they
have signed has expired.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_server.settings import ConfigurationError

Key = ECKey | RSAKey

ANNOUNCED_SECONDS = 600
"""How long a new key is published before it signs."""

LOOKED_AT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of key: its algorithm, how one is made, and whether a key is one that may be used."""

    algorithm: str
    make: Callable[[], Key]
    usable: Callable[[Key], bool]


ES256 = Kind(
    "ES256",
    lambda: ECKey.generate_key("P-256", private=True, auto_kid=True),
    lambda key: isinstance(key, ECKey) and key.is_private and key.curve_name == "P-256",
)
"""https://www.rfc-editor.org/rfc/rfc7518#section-3.4"""

RS256 = Kind(
    "RS256",
    lambda: RSAKey.generate_key(2048, private=True, auto_kid=True),
    lambda key: isinstance(key, RSAKey) and key.is_private and key.raw_value.key_size >= 2048,
)
"""https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""


@dataclass(frozen=True, slots=True)
class Member:
    """One key of a ring. ``since`` is when it begins to sign, in seconds since 1970."""

    kid: str
    key: Key
    since: int


class KeyRing:
    """The keys of a file, looked at anew once a second at most. Raises ConfigurationError for a file that holds none.

    The first process that needs a ring makes it, readable by nobody else; others that start at the same time agree.
    """

    def __init__(self, path: Path, kind: Kind, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._kind = kind
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = 0.0
        self._stamp: tuple[int, int] = (0, 0)
        self._members: tuple[Member, ...] = ()
        self._by_id: Mapping[str, Key] = {}
        try:
            _make_once(path, kind)
        except OSError as error:
            raise ConfigurationError(f"The key file {path} cannot be made ({error.strerror}).") from None
        self._look()

    @property
    def algorithm(self) -> str:
        """The algorithm of every key."""
        return self._kind.algorithm

    @property
    def members(self) -> tuple[Member, ...]:
        """Every key, oldest first."""
        self._look()
        return self._members

    @property
    def signing(self) -> Key:
        """The key that signs now: the newest of those whose time has come."""
        now = self._clock()
        members = self.members
        return next((one.key for one in reversed(members) if one.since <= now), members[0].key)

    @property
    def by_id(self) -> Mapping[str, Key]:
        """Every key that verifies, by its kid."""
        self._look()
        return self._by_id

    def public_jwks(self) -> dict[str, Any]:
        """The public halves as a JWK Set. https://www.rfc-editor.org/rfc/rfc7517#section-5"""
        marks = {"use": "sig", "alg": self.algorithm}
        return {"keys": [one.key.as_dict(private=False) | {"kid": one.kid} | marks for one in self.members]}

    def _look(self) -> None:
        now = time.monotonic()
        if self._members and now - self._looked < LOOKED_AT_SECONDS:
            return
        with self._lock:
            try:
                status = self._path.stat()
                stamp = (status.st_mtime_ns, status.st_ino)
                if stamp != self._stamp:
                    self._members = parse(self._path.read_text(), str(self._path), self._kind)
                    self._by_id = {one.kid: one.key for one in self._members}
                    self._stamp = stamp
            except OSError as error:
                # Keys that were read once go on working while the file is out of reach.
                if not self._members:
                    raise ConfigurationError(f"The key file {self._path} cannot be read ({error.strerror}).") from None
            self._looked = now


def parse(text: str, source: str, kind: Kind) -> tuple[Member, ...]:
    """The keys of a JWK or a JWK Set, oldest first; of keys without a time the first signs.

    ``source`` names it in errors. Raises ConfigurationError for keys of another kind, or public ones.
    """
    try:
        value = json.loads(text)
        written = value.get("keys", [value])
        keys = [(_import(jwk), int(jwk.get("nbf", 0))) for jwk in written]
        usable = bool(keys) and all(kind.usable(key) for key, _ in keys)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        usable = False
    if not usable:
        raise ConfigurationError(f"{source} must hold a JWK or a JWK Set of private keys for {kind.algorithm}.")
    members = [Member(key.kid or key.thumbprint(), key, since) for key, since in reversed(keys)]
    return tuple(sorted(members, key=lambda one: one.since))


def _import(jwk: dict[str, Any]) -> Key:
    known = {name: value for name, value in jwk.items() if name not in ("nbf", "iat")}
    return RSAKey.import_key(known) if jwk.get("kty") == "RSA" else ECKey.import_key(known)


def rotate(
    path: Path, kind: Kind, now: int, lifetime: int, announced: int = ANNOUNCED_SECONDS
) -> tuple[str, list[str]]:
    """Add a key that signs ``announced`` seconds from now, and drop those that nothing unexpired is signed with.

    ``lifetime`` is the longest that anything signed is valid, in seconds. The answer is the new key's kid and those of
    the keys dropped. Raises ConfigurationError.
    """
    try:
        members = list(parse(path.read_text(), str(path), kind)) if path.exists() else []
    except OSError as error:
        raise ConfigurationError(f"The key file {path} cannot be read ({error.strerror}).") from None
    signing = [one for one in members if one.since <= now]
    # A key has signed until its successor's time came.
    ended = {one.kid for one, after in pairwise(signing) if after.since + lifetime < now}
    key = kind.make()
    kept = [one for one in members if one.kid not in ended]
    kept.append(Member(key.kid or key.thumbprint(), key, now + announced if members else 0))
    _write(path, kept)
    return kept[-1].kid, sorted(ended)


def _make_once(path: Path, kind: Kind) -> None:
    if path.exists():
        return
    key = kind.make()
    unfinished = _unfinished(path, [Member(key.kid or key.thumbprint(), key, 0)])
    try:
        # Whoever links its file first has made the ring, the others read it.
        os.link(unfinished, path)
    except FileExistsError:
        return
    finally:
        unfinished.unlink()


def _write(path: Path, members: list[Member]) -> None:
    unfinished = _unfinished(path, members)
    try:
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigurationError(f"The key file {path} cannot be written ({error.strerror}).") from None


def _unfinished(path: Path, members: list[Member]) -> Path:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    values = [one.key.as_dict(private=True) | {"kid": one.kid, "nbf": one.since} for one in reversed(members)]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"keys": values}, file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigurationError(f"The key file {path} cannot be written ({error.strerror}).") from None
    return unfinished
