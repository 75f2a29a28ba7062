"""Signing in through a clinic's own OpenID Connect provider, by the authorization code flow with PKCE.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard
from urllib.parse import quote

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError

from fhir_server.authn.foreign_jwt import LONGEST, registry
from fhir_server.authn.key_sets import KeySets
from fhir_server.authn.provider_metadata import Fetches, Metadata, Providers, UpstreamError, fetch_json
from fhir_server.authn.public_keys import NoKey, PublicKey

SIGN_IN_SECONDS = 600
"""How long somebody may take to sign in at the provider."""

CLOCK_SKEW_SECONDS = 30
LONGEST_VALUE = 255
LONGEST_CODE = 4096


@dataclass(frozen=True, slots=True)
class UpstreamProvider:
    """A clinic's provider; ``claim`` is the one that holds the person's username here."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    claim: str = "preferred_username"
    scopes: str = "openid profile email"


@dataclass(frozen=True, slots=True)
class StateRecord:
    """What is remembered of a sign-in while the person is at the provider.

    It is kept on the server, for the browser that began, and taken out of its store before `Upstream.finish` is called:
    then an answer of the provider can be used once, and in that browser only.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    begun: int

    def to_json(self) -> dict[str, Any]:
        """For keeping it as JSON; ``StateRecord(**value)`` makes it anew."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider has signed in. ``issuer`` and ``subject`` together never change and name nobody else.

    ``username`` is the value of the provider's claim; ``email`` is "" unless the provider has verified it.
    https://openid.net/specs/openid-connect-core-1_0.html#ClaimStability
    """

    issuer: str
    subject: str
    username: str
    email: str
    amr: tuple[str, ...]


class Upstream:
    """Sends people to their clinic's provider and reads what it sends back; safe to share between threads."""

    def __init__(self, outbound: Fetches, key_sets: KeySets, *, clock: Callable[[], float] = time.time) -> None:
        self._outbound = outbound
        self._key_sets = key_sets
        self._providers = Providers(outbound)
        self._clock = clock

    def begin(self, provider: UpstreamProvider, redirect_uri: str) -> tuple[str, StateRecord]:
        """Where to send the person, and what to remember. Raises UpstreamError.

        https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
        """
        metadata = self._providers.metadata(provider.issuer)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = prepare_grant_uri(
            metadata.authorization_endpoint,
            provider.client_id,
            "code",
            redirect_uri,
            provider.scopes,
            state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        begun = int(self._clock())
        return url, StateRecord(provider.issuer, provider.client_id, redirect_uri, state, nonce, verifier, begun)

    def finish(self, provider: UpstreamProvider, record: StateRecord, params: Mapping[str, str]) -> Identity:
        """Who has signed in, from the parameters that the provider sent to the redirect_uri. Raises UpstreamError.

        https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
        """
        self._check_response(provider, record, params)
        metadata = self._providers.metadata(provider.issuer)
        _check_sender(metadata, params)
        tokens = self._redeemed(provider, metadata, record, params["code"])
        claims = self._verified(provider, metadata, record, tokens)
        return self._identity(provider, metadata, claims, tokens)

    def _check_response(self, provider: UpstreamProvider, record: StateRecord, params: Mapping[str, str]) -> None:
        """https://www.rfc-editor.org/rfc/rfc6749#section-10.12"""
        if not hmac.compare_digest(params.get("state", "").encode(), record.state.encode()):
            raise UpstreamError("state", "This answer belongs to no sign-in of this browser; begin anew.")
        if (record.issuer, record.client_id) != (provider.issuer, provider.client_id):
            raise UpstreamError("mix-up", "The sign-in was begun with another provider; begin anew.")
        if not 0 <= self._clock() - record.begun <= SIGN_IN_SECONDS:
            raise UpstreamError("expired", "Signing in took too long; begin anew.")

    def _redeemed(
        self, provider: UpstreamProvider, metadata: Metadata, record: StateRecord, code: str
    ) -> dict[str, Any]:
        """https://openid.net/specs/openid-connect-core-1_0.html#TokenRequest"""
        data = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": record.redirect_uri,
            "code_verifier": record.verifier,
        }
        headers: dict[str, str] = {}
        if "client_secret_basic" in metadata.token_methods:
            # RFC 6749, 2.3.1: both are encoded first, as authlib leaves to its caller. A blank becomes %20, which those
            # who decode forms and those who decode URLs read alike.
            name, secret = quote(provider.client_id, safe=""), quote(provider.client_secret, safe="")
            auth = ClientAuth(name, secret, "client_secret_basic")
            auth.prepare("POST", metadata.token_endpoint, headers, "")
        elif "client_secret_post" in metadata.token_methods:
            data |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        else:
            raise UpstreamError("provider", "The provider takes neither client_secret_basic nor client_secret_post.")
        return fetch_json(
            self._outbound, metadata.token_endpoint, "token response", data=data, headers=tuple(headers.items())
        )

    def _verified(
        self, provider: UpstreamProvider, metadata: Metadata, record: StateRecord, tokens: dict[str, Any]
    ) -> dict[str, Any]:
        """https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation"""
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str) or len(id_token) > LONGEST or not id_token.isascii():
            raise UpstreamError("provider", "The provider's token response has no id_token that can be read.")

        def key(guest: Any) -> PublicKey:
            header = guest.headers()
            if "crit" in header or not isinstance(header.get("kid", ""), str):
                raise NoKey("The id_token's header has a crit, or a kid that is no text.")
            return self._key_sets.key(metadata.jwks_uri, header.get("kid", ""), header["alg"])

        try:
            token = jwt.decode(id_token, key, registry=registry(metadata.algorithms))
            options = {
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
            }
            params = {"client_id": provider.client_id, "nonce": record.nonce, "access_token": access_token}
            claims = CodeIDToken(token.claims, token.header, options, params)
            _check_beyond_authlib(claims, access_token)
            claims.validate(int(self._clock()), CLOCK_SKEW_SECONDS)
        except NoKey as error:
            raise UpstreamError("id-token", f"The id_token's key was not found. {error}") from None
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            what = getattr(error, "claim", "") or getattr(error, "error", type(error).__name__)
            raise UpstreamError("id-token", f"The provider's id_token is not valid here ({what}).") from None
        return dict(claims)

    def _identity(
        self, provider: UpstreamProvider, metadata: Metadata, claims: dict[str, Any], tokens: dict[str, Any]
    ) -> Identity:
        if provider.claim not in claims and metadata.userinfo_endpoint and isinstance(tokens.get("access_token"), str):
            claims = self._userinfo(metadata, claims["sub"], tokens["access_token"]) | claims
        email = claims.get("email") if claims.get("email_verified") is True else ""
        # Whoever may write any address into their profile at the provider must not become its owner here.
        username = email if provider.claim == "email" else claims.get(provider.claim)
        if not _plain(username):
            raise UpstreamError("claim", f"The provider says no usable (or verified) {provider.claim} of this person.")
        amr = tuple(value for value in claims.get("amr") or () if isinstance(value, str))
        return Identity(provider.issuer, claims["sub"], username, email if _plain(email) else "", amr)

    def _userinfo(self, metadata: Metadata, subject: str, access_token: str) -> dict[str, Any]:
        """https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse"""
        authorization = (("Authorization", f"Bearer {access_token}"),)
        found = fetch_json(self._outbound, metadata.userinfo_endpoint, "userinfo", headers=authorization)
        if found.get("sub") != subject:
            raise UpstreamError("mix-up", "The provider's userinfo is about somebody else than its id_token.")
        return found


def _check_sender(metadata: Metadata, params: Mapping[str, str]) -> None:
    """https://www.rfc-editor.org/rfc/rfc9207#section-2.4"""
    if (metadata.names_itself or "iss" in params) and params.get("iss") != metadata.issuer:
        raise UpstreamError("mix-up", "The answer came from another provider than the one that was asked.")
    if "error" in params:
        raise UpstreamError("denied", "The provider has not signed this person in.")
    if not 0 < len(params.get("code", "")) <= LONGEST_CODE:
        raise UpstreamError("code", "The provider's answer has no code; begin anew.")


def _check_beyond_authlib(claims: Mapping[str, Any], access_token: object) -> None:
    if not _plain(claims.get("sub")):
        raise ValueError("sub")
    if "at_hash" in claims and not (isinstance(claims["at_hash"], str) and isinstance(access_token, str)):
        raise ValueError("at_hash")


def _plain(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_VALUE and value.isprintable()
