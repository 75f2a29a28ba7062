"""access_tokens: signed by the server's own key, verified once and then remembered.

https://www.rfc-editor.org/rfc/rfc9068 (JWT profile for OAuth 2.0 access tokens)
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol

from joserfc import jwt
from joserfc.errors import JoseError

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse as parse_scopes
from fhir_server.authn.key_ring import ES256, Key
from fhir_server.errors import Unauthenticated

ALGORITHM = ES256.algorithm

TYPE = "at+jwt"
LONGEST = 8192
"""Characters of the longest access_token that is looked at."""

CLOCK_SKEW_SECONDS = 30
"""How far the clocks of two servers that share a key may be apart."""


class Keys(Protocol):
    """What is needed of authn/key_ring.py: the key that signs, and those that verify."""

    @property
    def signing(self) -> Key:
        """The key that signs now."""

    @property
    def by_id(self) -> Mapping[str, Key]:
        """Every key that verifies, by its kid."""


class RevocationCheck(Protocol):
    """What is needed of store/revocation_watch.py."""

    def revoked(self, jti: str, grant: str, person: str, client: str, issued: int) -> bool:
        """Whether an access_token is void."""

    def forget(self) -> None:
        """Ask anew: something was taken back."""


@dataclass(frozen=True)
class Claims:
    """What an access_token says; times are whole seconds since 1970.

    https://www.rfc-editor.org/rfc/rfc9068#section-2.2
    """

    iss: str
    aud: str
    sub: str
    client_id: str
    tenant: str
    scope: str
    iat: int
    exp: int
    jti: str
    roles: tuple[str, ...] = ()
    fhir_user: str = ""
    patient: str = ""
    encounter: str = ""
    grant: str = ""

    @property
    def client(self) -> str:
        """The client, named as revocations name it: others of its name are at other clinics."""
        return f"{self.tenant} {self.client_id}"

    @cached_property
    def principal(self) -> Principal:
        """Who the bearer is; made once of each access_token that is remembered."""
        return Principal(
            self.tenant,
            self.sub,
            self.client_id,
            parse_scopes(self.scope),
            self.roles,
            self.fhir_user,
            self.patient,
            self.encounter,
            self.grant,
        )


_OPTIONAL = {"fhir_user": "fhirUser", "patient": "patient", "encounter": "encounter", "grant": "grant"}
"""Claims that only a person's access_tokens have: our name -> the claim's.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#launch-context-arrives-with-your-access_token
"""


def issue(
    keys: Keys,
    *,
    issuer: str,
    sub: str,
    client_id: str,
    tenant: str,
    scope: str,
    lifetime: int,
    now: int | None = None,
    roles: Sequence[str] = (),
    fhir_user: str = "",
    patient: str = "",
    encounter: str = "",
    grant: str = "",
) -> str:
    """An access_token for ``tenant``, valid for ``lifetime`` seconds; the issuer is its audience as well.

    ``roles`` and what follows is of a person, as in `Claims`.

    https://www.rfc-editor.org/rfc/rfc9068#section-2
    """
    issued = int(time.time()) if now is None else now
    claims = {
        "iss": issuer,
        "aud": issuer,
        "sub": sub,
        "client_id": client_id,
        "tenant": tenant,
        "scope": scope,
        "iat": issued,
        "exp": issued + lifetime,
        "jti": secrets.token_urlsafe(16),
    }
    if roles:
        claims["roles"] = list(roles)
    optional = {"fhirUser": fhir_user, "patient": patient, "encounter": encounter, "grant": grant}
    claims |= {name: value for name, value in optional.items() if value}
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": keys.signing.kid or keys.signing.thumbprint()}
    return jwt.encode(header, claims, keys.signing, algorithms=[ALGORITHM])


class Verifier:
    """Tells what an access_token says, or raises Unauthenticated; safe to share between threads.

    ``revocations`` are asked each time. ``remembered`` bounds how many verified access_tokens are kept, the oldest
    first out.
    """

    def __init__(
        self,
        keys: Keys,
        issuer: str,
        revocations: RevocationCheck,
        *,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.revocations = revocations
        self._keys = keys
        self._issuer = issuer
        self._limit = remembered
        self._clock = clock
        self._lock = threading.Lock()
        self._verified: dict[bytes, Claims] = {}

    def verify(self, access_token: str) -> Claims:
        """The claims of ``access_token``. https://www.rfc-editor.org/rfc/rfc9068#section-4

        Raises Unauthenticated with WWW-Authenticate (https://www.rfc-editor.org/rfc/rfc6750#section-3).
        """
        if len(access_token) > LONGEST or not access_token.isascii():
            _refuse("The access_token is not one of this server's.")
        # Only the digest is kept, so a memory dump holds no access_token that could be used.
        digest = hashlib.sha256(access_token.encode("ascii")).digest()
        # One look-up in a dict needs no lock.
        claims = self._verified.get(digest)
        known = claims is not None
        if claims is None:
            claims = self._read(access_token)
        if claims.exp <= self._clock():
            self._verified.pop(digest, None)
            _refuse("The access_token has expired.")
        if self.revocations.revoked(claims.jti, claims.grant, claims.sub, claims.client, claims.iat):
            _refuse("The access_token was revoked.")
        if not known:
            self._remember(digest, claims)
        return claims

    def _remember(self, digest: bytes, claims: Claims) -> None:
        with self._lock:
            self._verified[digest] = claims
            if len(self._verified) > self._limit:
                self._verified.pop(next(iter(self._verified)), None)

    def _read(self, access_token: str) -> Claims:
        try:
            token = jwt.decode(access_token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            _refuse("The access_token is not one of this server's, or it was changed.")
        if str(token.header.get("typ", "")).lower().removeprefix("application/") != TYPE:
            _refuse(f"The token's type is not {TYPE}: only an access_token is accepted here.")
        return self._claims(token.claims)

    def _key(self, guest: Any) -> Key:
        # A header that names no key of ours finds none, whatever else it carries (jwk, jku, x5u are never followed).
        return self._keys.by_id[guest.headers()["kid"]]

    def _claims(self, values: dict[str, Any]) -> Claims:
        texts = ("iss", "aud", "sub", "client_id", "tenant", "scope", "jti")
        times = ("iat", "exp")
        for name in texts:
            if not isinstance(values.get(name), str):
                _refuse(f"The access_token lacks the claim {name}.")
        for name in (*times, "nbf") if "nbf" in values else times:
            if type(values.get(name)) is not int:
                _refuse(f"The access_token lacks the claim {name}.")
        if values["iss"] != self._issuer or values["aud"] != self._issuer:
            _refuse("The access_token was issued for another server.")
        if max(values["iat"], values.get("nbf", 0)) > self._clock() + CLOCK_SKEW_SECONDS:
            _refuse("The access_token is not valid yet.")
        optional = {ours: values.get(name, "") for ours, name in _OPTIONAL.items()}
        roles = values.get("roles", [])
        if not all(isinstance(value, str) for value in (*optional.values(), *roles)):
            _refuse("The access_token has claims of a wrong kind.")
        return Claims(**{name: values[name] for name in texts + times}, roles=tuple(roles), **optional)


def _refuse(why: str) -> NoReturn:
    challenge = f'Bearer error="invalid_token", error_description="{why}"'
    raise Unauthenticated(why, headers=[("WWW-Authenticate", challenge)]) from None
