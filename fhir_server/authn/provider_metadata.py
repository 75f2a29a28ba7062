"""What an OpenID provider says of itself, fetched and kept for an hour.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from authlib.oidc.discovery import get_well_known_url

from fhir_server.authn.outbound import Answer, OutboundError, read_url

KEPT_SECONDS = 3600
FAILURE_SECONDS = 30
MOST_PROVIDERS = 1000

ID_TOKEN_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
"""Signatures with public keys only: HS256 would make every holder of the client_secret a provider."""


class UpstreamError(Exception):
    """Nobody was signed in. ``reason`` is one word, the message says what happened without any secret.

    provider (its settings or its answers), denied (by the person or the provider), state, expired, mix-up, code,
    id-token, claim.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Fetches(Protocol):
    """What is needed of `outbound.Outbound`."""

    def fetch(
        self,
        url: str,
        *,
        accept: str,
        data: Mapping[str, str] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Answer:
        """The answer to a GET, or to a POST of ``data``. Raises OutboundError."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of a discovery document that signing in needs."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    names_itself: bool
    """Whether it puts iss into what it sends back. https://www.rfc-editor.org/rfc/rfc9207#section-3"""

    token_methods: tuple[str, ...]
    algorithms: tuple[str, ...]


class Providers:
    """The metadata of providers by their issuer; safe to share between threads."""

    def __init__(self, outbound: Fetches, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbound = outbound
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Metadata | UpstreamError]] = OrderedDict()

    def metadata(self, issuer: str) -> Metadata:
        """What the provider ``issuer`` says of itself. Raises UpstreamError."""
        with self._lock:
            until, found = self._known.get(issuer, (0.0, None))
        if found is None or until <= self._clock():
            found = self._found(issuer)
            kept = KEPT_SECONDS if isinstance(found, Metadata) else FAILURE_SECONDS
            with self._lock:
                self._known[issuer] = (self._clock() + kept, found)
                self._known.move_to_end(issuer)
                if len(self._known) > MOST_PROVIDERS:
                    self._known.popitem(last=False)
        if isinstance(found, UpstreamError):
            raise UpstreamError(found.reason, str(found))
        return found

    def _found(self, issuer: str) -> Metadata | UpstreamError:
        if "?" in issuer or "#" in issuer:
            return UpstreamError("provider", "The issuer that is set must be a URL without query and fragment.")
        try:
            url = get_well_known_url(issuer, external=True)
            return _read(issuer, fetch_json(self._outbound, url, "discovery document"))
        except UpstreamError as error:
            return error


def fetch_json(
    outbound: Fetches,
    url: str,
    what: str,
    *,
    data: Mapping[str, str] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> dict[str, Any]:
    """The JSON object at ``url``, called ``what`` in errors. Raises UpstreamError."""
    try:
        answer = outbound.fetch(url, accept="application/json", data=data, headers=headers)
    except OutboundError as error:
        # Providers are named by the clinic's administrators, who need to know why one is not reached.
        raise UpstreamError("provider", f"The provider's {what} could not be fetched: {error}") from None
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UpstreamError("provider", f"The provider's {what} is not application/json.")
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UpstreamError("provider", f"The provider's {what} is not a JSON object.")
    if answer.status != 200:
        raise UpstreamError(*_refused(what, value.get("error")))
    return value


_TOKEN_ERRORS = {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"}


def _refused(what: str, error: object) -> tuple[str, str]:
    # Only words that OAuth has are repeated: the rest is the provider's own text, of which nobody knows what it holds.
    known = error if isinstance(error, str) and error in _TOKEN_ERRORS else "no reason given"
    return ("code" if known == "invalid_grant" else "provider"), f"The provider refused its {what}: {known}."


def _read(issuer: str, document: dict[str, Any]) -> Metadata:
    if document.get("issuer") != issuer:
        raise UpstreamError("provider", "The provider's discovery document names another issuer than is set.")
    secure = read_url(issuer).secure
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        if name in document or name != "userinfo_endpoint":
            _check_url(name, document.get(name), secure)
    algorithms = _texts(document, "id_token_signing_alg_values_supported", ("RS256",))
    taken = tuple(name for name in ID_TOKEN_ALGORITHMS if name in algorithms)
    if not taken:
        raise UpstreamError("provider", "The provider signs id_tokens with none of " + ", ".join(ID_TOKEN_ALGORITHMS))
    return Metadata(
        issuer,
        document["authorization_endpoint"],
        document["token_endpoint"],
        document.get("userinfo_endpoint", ""),
        document["jwks_uri"],
        document.get("authorization_response_iss_parameter_supported") is True,
        _texts(document, "token_endpoint_auth_methods_supported", ("client_secret_basic",)),
        taken,
    )


def _check_url(name: str, url: object, secure: bool) -> None:
    try:
        good = isinstance(url, str) and read_url(url).secure >= secure
    except OutboundError:
        good = False
    if not good:
        raise UpstreamError("provider", f"The provider's discovery document has no {name} that can be used.")


def _texts(document: dict[str, Any], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    values = document.get(name, list(default))
    if not isinstance(values, list):
        raise UpstreamError("provider", f"The provider's discovery document has no list as {name}.")
    return tuple(value for value in values if isinstance(value, str))
