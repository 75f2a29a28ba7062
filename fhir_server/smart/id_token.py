"""Who has signed in, told to a client. https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""

from __future__ import annotations

import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from joserfc import jwt

from fhir_server.authn.key_ring import KeyRing
from fhir_server.authn.people import Person
from fhir_server.smart.places import Places

ALGORITHM = "RS256"
"""https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#steps-for-using-an-id-token"""

LIFETIME = 3600


def issue(
    keys: KeyRing,
    places: Places,
    person: Person,
    *,
    client_id: str,
    scopes: Sequence[str],
    access_token: str,
    nonce: str = "",
    auth_time: int = 0,
) -> str:
    """An id_token for the client. Names go with the scope ``profile``, ``fhirUser`` with its own."""
    at = int(time.time())
    claims: dict[str, object] = {
        "iss": places.issuer,
        "sub": person.id,
        "aud": client_id,
        "iat": at,
        "exp": at + LIFETIME,
        "at_hash": _half_hash(access_token),
    }
    if nonce:
        claims["nonce"] = nonce
    if auth_time:
        claims["auth_time"] = auth_time
    if person.fhir_user and {"fhirUser", "profile"} & set(scopes):
        claims["fhirUser"] = f"{places.base}/{person.fhir_user}"
    if "profile" in scopes:
        claims |= {"name": person.name, "preferred_username": person.username}
    signing = keys.signing
    return jwt.encode({"alg": ALGORITHM, "kid": signing.kid, "typ": "JWT"}, claims, signing, algorithms=[ALGORITHM])


def _half_hash(access_token: str) -> str:
    digest = hashlib.sha256(access_token.encode("ascii")).digest()
    return urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii")
