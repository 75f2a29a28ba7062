"""private_key_jwt: a client that shows who it is with a JWT of its own.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError

from fhir_server.authn.foreign_jwt import registry
from fhir_server.authn.public_keys import NoKey, PublicKey

ALGORITHMS = ("RS384", "ES384")
"""The two that SMART asks for. RS256 and ES256 are refused: nobody who follows SMART needs them."""

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The client_assertion_type. https://www.rfc-editor.org/rfc/rfc7523#section-2.2"""

LONGEST = 8192
LONGEST_JTI = 255
LIFETIME_SECONDS = 300
CLOCK_SKEW_SECONDS = 30
"""How far the client's clock may be ahead of ours; a clock that is behind needs no allowance, its exp comes early."""

_TYPES = {"jwt", "client-authentication+jwt"}

KeyLookup = Callable[[str, str], PublicKey]
"""kid and alg to a key; raises NoKey. `KeySets.key` with the client's URL, or `public_keys.key_in` with its own set."""


class InvalidClient(Exception):
    """invalid_client; the message is the error_description and repeats nothing of what was sent.

    https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    """


@dataclass(frozen=True, slots=True)
class Assertion:
    """What must be remembered of an assertion until ``exp`` (seconds since 1970), lest it be used twice."""

    jti: str
    exp: int


_REGISTRY = registry(ALGORITHMS)


def claimed_client_id(assertion: str) -> str:
    """Whose the assertion says it is, for looking up the client; nothing is verified. Raises InvalidClient."""
    try:
        claims = json.loads(jws.extract_compact(_bytes(assertion), registry=_REGISTRY).payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise InvalidClient("The client_assertion is not a signed JWT.") from None
    subject = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(subject, str) or not subject:
        raise InvalidClient("The client_assertion needs iss and sub, both the client_id.")
    return subject


def verify(
    assertion: str,
    *,
    audience: str | Sequence[str],
    client_id: str,
    key_lookup: KeyLookup,
    now: float,
    jwks_url: str = "",
) -> Assertion:
    """The assertion, when ``client_id`` has signed it for one of ``audience`` just now. Raises InvalidClient.

    ``jwks_url`` is what the client has registered; a jku that differs is refused. That the jti is new is for the caller
    to see to. https://www.rfc-editor.org/rfc/rfc7523#section-3
    """

    def key(guest: Any) -> PublicKey:
        return _key(guest.headers(), key_lookup, jwks_url)

    try:
        claims = jwt.decode(_bytes(assertion), key, registry=_REGISTRY).claims
    except UnsupportedAlgorithmError:
        raise InvalidClient("The client_assertion must be signed with RS384 or ES384.") from None
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise InvalidClient("The client_assertion's signature does not verify with the client's key.") from None
    if client_id == "" or claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise InvalidClient("The client_assertion's iss and sub must both be the client_id.")
    _check_audience(claims.get("aud"), [audience] if isinstance(audience, str) else audience)
    return Assertion(_jti(claims.get("jti")), _expiry(claims, now))


def _bytes(assertion: str) -> bytes:
    if len(assertion) > LONGEST or not assertion.isascii():
        raise InvalidClient(f"The client_assertion must be a signed JWT of {LONGEST} characters at most.")
    return assertion.encode("ascii")


def _key(header: dict[str, Any], key_lookup: KeyLookup, jwks_url: str) -> PublicKey:
    if "crit" in header:
        raise InvalidClient("The client_assertion's header has crit, which is not supported.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidClient('The client_assertion\'s typ must be "JWT".')
    if "jku" in header and header["jku"] != jwks_url:
        raise InvalidClient("The client_assertion's jku is not the jwks_uri that the client has registered.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise InvalidClient("The client_assertion's header needs the kid of the key that has signed it.")
    try:
        return key_lookup(kid, header["alg"])
    except NoKey as error:
        raise InvalidClient(str(error)) from None


def _check_audience(stated: object, expected: Sequence[str]) -> None:
    # A second audience could hand the same assertion on to us, so there may be one only.
    single = stated[0] if isinstance(stated, list) and len(stated) == 1 else stated
    if not isinstance(single, str) or single not in expected:
        raise InvalidClient(f"The client_assertion's aud must be {expected[0]} and nothing else.")


def _jti(stated: object) -> str:
    if not isinstance(stated, str) or not stated or len(stated) > LONGEST_JTI:
        raise InvalidClient(f"The client_assertion needs a jti of 1 to {LONGEST_JTI} characters.")
    return stated


def _expiry(claims: dict[str, Any], now: float) -> int:
    """https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4"""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, now)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
            raise InvalidClient(f"The client_assertion's {name} must be a number of seconds since 1970.")
    if "exp" not in claims or claims["exp"] <= now:
        raise InvalidClient("The client_assertion has no exp, or it has expired; make a new one for each request.")
    if claims["exp"] > now + LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
        raise InvalidClient("The client_assertion's exp must be at most five minutes ahead.")
    if max(claims.get("iat", now), claims.get("nbf", now)) > now + CLOCK_SKEW_SECONDS:
        raise InvalidClient("The client_assertion is not valid yet: check the clock that made its iat or nbf.")
    return math.ceil(float(claims["exp"]))
