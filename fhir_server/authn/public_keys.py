"""JWK Sets of others: which of their keys are taken, and for which algorithm. https://www.rfc-editor.org/rfc/rfc7517"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

PublicKey = RSAKey | ECKey

MOST_KEYS = 100
LONGEST_KID = 255
_RSA_BITS = (2048, 8192)
_LONGEST_NUMBER = 1400
"""Base64 characters of 8192 bits, and a few; longer numbers are not decoded to find out."""

_CURVES = {"P-256": "ES256", "P-384": "ES384"}
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})


class BadKeySet(Exception):
    """A key set that cannot be used; the message says what to change and repeats nothing of it."""


class NoKey(Exception):
    """No key was found for a signature; the message says why and repeats nothing of the key set."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One public key and the algorithms that it may verify."""

    kid: str
    algorithms: frozenset[str]
    key: PublicKey


def read(jwks: object, *, strict: bool = False) -> tuple[Entry, ...]:
    """The keys of a JWK Set that verify signatures; others are passed over, or with ``strict`` refused.

    Raises BadKeySet. https://www.rfc-editor.org/rfc/rfc7517#section-5
    """
    values = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise BadKeySet('A JWK Set is a JSON object with a list of "keys".')
    if len(values) > MOST_KEYS:
        raise BadKeySet(f"A JWK Set has {MOST_KEYS} keys at most.")
    entries = []
    for number, value in enumerate(values):
        try:
            entries.append(_entry(value))
        except BadKeySet as error:
            if strict:
                raise BadKeySet(f"keys[{number}]: {error}") from None
    if strict and (not entries or not all(entry.kid for entry in entries)):
        raise BadKeySet("A JWK Set needs a key, and each key a kid.")
    return tuple(entries)


def pick(entries: Sequence[Entry], kid: str, alg: str) -> PublicKey | None:
    """The key named ``kid`` that verifies ``alg``; without a kid, the only one that does. None where there is none.

    Raises NoKey where several would do: which of them is meant must not depend on their order.
    https://www.rfc-editor.org/rfc/rfc7517#section-4.5
    """
    fitting = [entry.key for entry in entries if alg in entry.algorithms and kid in {entry.kid, ""}]
    if len(fitting) > 1:
        raise NoKey("Several keys of the key set fit; each needs a kid of its own, and the JWT must name it.")
    return fitting[0] if fitting else None


def key_in(jwks: object, kid: str, alg: str) -> PublicKey:
    """The same, for a JWK Set that was registered by value. Raises NoKey."""
    try:
        found = pick(read(jwks), kid, alg)
    except BadKeySet as error:
        raise NoKey(str(error)) from None
    if found is None:
        raise NoKey(f"The registered key set has no {alg} key with this kid.")
    return found


def _entry(jwk: object) -> Entry:
    if not isinstance(jwk, Mapping):
        raise BadKeySet("a key is a JSON object.")
    kid = jwk.get("kid", "")
    if not isinstance(kid, str) or len(kid) > LONGEST_KID:
        raise BadKeySet(f"kid must be a text of {LONGEST_KID} characters at most.")
    if {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set(jwk):
        raise BadKeySet("this is a private or secret key, which is now known to others; make a new one, publish none.")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise BadKeySet('use must be "sig", and key_ops have "verify", where they are there at all.')
    key, algorithms = _rsa(jwk) if jwk.get("kty") == "RSA" else _elliptic(jwk)
    if "alg" in jwk:
        algorithms &= {str(jwk["alg"])}
        if not algorithms:
            raise BadKeySet("alg does not fit the kind of the key.")
    return Entry(kid, algorithms, key)


def _operations(jwk: Mapping[str, Any]) -> Sequence[str]:
    operations = jwk.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _rsa(jwk: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]]:
    numbers = {name: jwk.get(name) for name in ("n", "e")}
    if not all(isinstance(value, str) and len(value) <= _LONGEST_NUMBER for value in numbers.values()):
        raise BadKeySet("an RSA key needs n and e.")
    # A long exponent makes each verification slow, and nobody has a use for one.
    if len(str(numbers["e"])) > 8 or len(str(numbers["n"])) * 6 < _RSA_BITS[0]:
        raise BadKeySet("an RSA key must have 2048 bits or more, and an exponent such as 65537.")
    key = _imported(RSAKey, {"kty": "RSA", **numbers})
    if not _RSA_BITS[0] <= key.raw_value.key_size <= _RSA_BITS[1]:
        raise BadKeySet("an RSA key must have from 2048 to 8192 bits.")
    return key, _RSA_ALGORITHMS


def _elliptic(jwk: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]]:
    curve = jwk.get("crv")
    if jwk.get("kty") != "EC" or not isinstance(curve, str) or curve not in _CURVES:
        raise BadKeySet("kty must be RSA, or EC with the crv P-256 or P-384.")
    numbers = {name: jwk.get(name) for name in ("x", "y")}
    if not all(isinstance(value, str) and len(value) <= _LONGEST_NUMBER for value in numbers.values()):
        raise BadKeySet("an EC key needs x and y.")
    return _imported(ECKey, {"kty": "EC", "crv": curve, **numbers}), frozenset({_CURVES[curve]})


def _imported(kind: type[RSAKey] | type[ECKey], values: dict[str, Any]) -> RSAKey | ECKey:
    try:
        return kind.import_key(values)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        raise BadKeySet("the numbers are not those of a public key.") from None
