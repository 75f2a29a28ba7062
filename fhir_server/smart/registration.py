"""Clients that register themselves. https://www.rfc-editor.org/rfc/rfc7591 and https://www.rfc-editor.org/rfc/rfc7592"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from fhir_server.audit.event import now
from fhir_server.authn import public_keys
from fhir_server.authn.public_keys import BadKeySet
from fhir_server.smart import redirect_uris, scopes, secrets
from fhir_server.smart.client import (
    ASSERTION,
    BASIC,
    CODE,
    CREDENTIALS,
    GRANT_TYPES,
    METHODS,
    NONE,
    ORDINARY_SCOPE,
    REFRESH,
)
from fhir_server.smart.places import Places
from fhir_server.store.oauth_clients import ACTIVE, PENDING, Client

_TEXTS = ("client_uri", "logo_uri", "policy_uri", "tos_uri", "software_id", "software_version")
_MOST_URIS = 50
_LONGEST = 2000


class MetadataRefused(Exception):
    """The client cannot be registered like this: ``error`` is invalid_client_metadata or invalid_redirect_uri.

    https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2
    """

    def __init__(self, description: str, error: str = "invalid_client_metadata") -> None:
        super().__init__(description)
        self.error = error


@dataclass(frozen=True, slots=True)
class Registered:
    """A new client with the values that are shown this once: its client_secret ("" for none) and registration token."""

    client: Client
    client_secret: str
    registration_token: str


def register(metadata: Mapping[str, Any], created_by: str = "") -> Registered:
    """A client as it asks to be. One that wants ``system/`` scopes waits for an approval. Raises MetadataRefused."""
    client = _read(metadata, Client(str(uuid.uuid4()), "", NONE, created=now(), created_by=created_by))
    token = secrets.new()
    secret = secrets.new() if client.method not in (NONE, ASSERTION) else ""
    client = replace(
        client,
        registration=secrets.digest(token),
        secret=secrets.digest(secret) if secret else b"",
        state=_state(client),
    )
    return Registered(client, secret, token)


def approved(client: Client, by: str) -> Client:
    """The client as somebody of the clinic has approved it."""
    return replace(client, state=ACTIVE, approved=now(), approved_by=by)


def changed(client: Client, metadata: Mapping[str, Any]) -> Registered:
    """The client as it asks to be from now on; its registration token becomes another. Raises MetadataRefused.

    https://www.rfc-editor.org/rfc/rfc7592#section-2.2
    """
    if metadata.get("client_id") != client.id:
        raise MetadataRefused("client_id must be that of the client.")
    given = metadata.get("client_secret")
    if given is not None and (not isinstance(given, str) or secrets.digest(given) != client.secret):
        raise MetadataRefused("client_secret cannot be chosen; leave it out.")
    fresh = _read(metadata, replace(client, redirect_uris=(), grant_types=(), jwks=None, jwks_uri="", metadata={}))
    secret = ""
    if fresh.method in (NONE, ASSERTION):
        fresh = replace(fresh, secret=b"")
    elif not fresh.secret:
        secret = secrets.new()
        fresh = replace(fresh, secret=secrets.digest(secret))
    # More than was approved is to be approved again; what the clinic itself allows a client to do stays its decision.
    if client.state == ACTIVE and client.approved and not set(_system(fresh)) - set(_system(client)):
        state = ACTIVE
    else:
        state = client.state if client.state not in (ACTIVE, PENDING) else _state(fresh)
    kept = {name: value for name, value in client.metadata.items() if name == "introspect"}
    token = secrets.new()
    fresh = replace(fresh, registration=secrets.digest(token), state=state, metadata=fresh.metadata | kept)
    return Registered(fresh, secret, token)


def shown(places: Places, client: Client, *, client_secret: str = "", registration_token: str = "") -> dict[str, Any]:
    """What a client is told of its registration. https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1"""
    told: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created // 1_000_000,
        "client_name": client.name,
        "token_endpoint_auth_method": client.method,
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if CODE in client.grant_types else [],
        "redirect_uris": list(client.redirect_uris),
        "scope": client.scope or ORDINARY_SCOPE,
        "registration_client_uri": f"{places.endpoint('register')}/{client.id}",
    }
    told |= {name: client.metadata[name] for name in (*_TEXTS, "contacts") if name in client.metadata}
    optional = {"jwks_uri": client.jwks_uri, "jwks": client.jwks, "initiate_login_uri": client.launch_uri}
    told |= {name: value for name, value in optional.items() if value}
    if client_secret:
        told |= {"client_secret": client_secret, "client_secret_expires_at": 0}
    if registration_token:
        told["registration_access_token"] = registration_token
    if client.state == PENDING:
        told["approval_pending"] = True
    return told


def _read(metadata: Mapping[str, Any], client: Client) -> Client:
    texts = _reader(metadata)
    method = texts("token_endpoint_auth_method") or BASIC
    if method not in METHODS:
        raise MetadataRefused(f"token_endpoint_auth_method must be one of {', '.join(METHODS)}.")
    grant_types = _list(metadata, "grant_types") or [CODE]
    if unknown := sorted(set(grant_types) - set(GRANT_TYPES)):
        raise MetadataRefused(f"grant_types can be {', '.join(GRANT_TYPES)}, not {unknown[0][:100]}.")
    if CREDENTIALS in grant_types and method == NONE:
        raise MetadataRefused("A client without credentials cannot use client_credentials.")
    if set(_list(metadata, "response_types")) - {"code"}:
        raise MetadataRefused("response_types can be code only.")
    scope = texts("scope", 20_000)
    wanted = scope.split()
    if any(text not in scopes.PLAIN and scopes.one(text) is None for text in wanted):
        wanted = [text for text in wanted if text in scopes.PLAIN or scopes.one(text) is not None]
    if any(text.startswith("system/") for text in wanted) and CREDENTIALS not in grant_types:
        raise MetadataRefused("system/ scopes need the grant type client_credentials.")
    if scopes.OFFLINE in wanted and CODE in grant_types and REFRESH not in grant_types:
        grant_types = [*grant_types, REFRESH]
    jwks, jwks_uri = _keys(metadata, texts, method)
    return replace(
        client,
        name=texts("client_name", 200) or texts("software_id", 200) or "An app without a name",
        method=method,
        scope=" ".join(dict.fromkeys(wanted)),
        redirect_uris=tuple(_redirect_uris(metadata, required=CODE in grant_types)),
        grant_types=tuple(dict.fromkeys(grant_types)),
        jwks=jwks,
        jwks_uri=jwks_uri,
        launch_uri=_web_address(texts("initiate_login_uri"), "initiate_login_uri"),
        metadata=_others(metadata, texts),
    )


def _keys(metadata: Mapping[str, Any], texts: Callable[..., str], method: str) -> tuple[dict[str, Any] | None, str]:
    jwks, jwks_uri = metadata.get("jwks"), texts("jwks_uri")
    if jwks is not None and jwks_uri:
        raise MetadataRefused("Give jwks or jwks_uri, not both.")
    if method == ASSERTION and jwks is None and not jwks_uri:
        raise MetadataRefused("private_key_jwt needs jwks_uri or jwks.")
    if jwks is not None:
        try:
            public_keys.read(jwks, strict=True)
        except BadKeySet as error:
            raise MetadataRefused(f"jwks: {error}") from None
        return dict(jwks), ""
    return None, _web_address(jwks_uri, "jwks_uri")


def _redirect_uris(metadata: Mapping[str, Any], *, required: bool) -> list[str]:
    uris = _list(metadata, "redirect_uris")
    if required and not uris:
        raise MetadataRefused("redirect_uris is missing.", "invalid_redirect_uri")
    if len(uris) > _MOST_URIS:
        raise MetadataRefused(f"There can be {_MOST_URIS} redirect_uris at most.", "invalid_redirect_uri")
    for uri in uris:
        if wrong := redirect_uris.problem(uri):
            raise MetadataRefused(f"Each of redirect_uris {wrong}.", "invalid_redirect_uri")
    return list(dict.fromkeys(uris))


def _others(metadata: Mapping[str, Any], texts: Callable[..., str]) -> dict[str, Any]:
    others: dict[str, Any] = {name: value for name in _TEXTS if (value := texts(name))}
    for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri"):
        if name in others:
            _web_address(others[name], name)
    if contacts := _list(metadata, "contacts"):
        others["contacts"] = contacts[:20]
    return others


def _web_address(url: str, name: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not (local or parts.scheme == "https") or not parts.hostname or parts.username is not None or parts.fragment:
        raise MetadataRefused(f"{name} must be an https URL.")
    return url


def _reader(metadata: Mapping[str, Any]) -> Callable[..., str]:
    def text(name: str, longest: int = _LONGEST) -> str:
        value = metadata.get(name, "")
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest or not value.isprintable():
            raise MetadataRefused(f"{name} must be a text of at most {longest:,} printable characters.")
        return value

    return text


def _list(metadata: Mapping[str, Any], name: str) -> list[str]:
    value = metadata.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) and 0 < len(one) <= _LONGEST for one in value):
        raise MetadataRefused(f"{name} must be a list of texts.")
    return value


def _system(client: Client) -> list[str]:
    return [text for text in client.scope.split() if text.startswith("system/")]


def _state(client: Client) -> str:
    return PENDING if _system(client) else ACTIVE
