"""The endpoints of the authorization server, below /t/{slug}/auth. https://hl7.org/fhir/smart-app-launch/STU2.2/"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from authlib.oauth2.base import OAuth2Error
from flask import Blueprint, Request, Response, request

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.authn import clinic_settings
from fhir_server.errors import FhirError, NotFound
from fhir_server.r4 import json
from fhir_server.smart import clients, discovery, registration, secrets
from fhir_server.smart.cross_origin import CrossOrigin
from fhir_server.smart.registration import MetadataRefused
from fhir_server.smart.services import Clinic, Smart
from fhir_server.smart.token_exchange import ExchangeGrant
from fhir_server.smart.token_grants import S256, CodeGrant, CredentialsGrant, RefreshGrant
from fhir_server.smart.token_server import FormRequest, TokenServer, parameters
from fhir_server.smart.token_status import Introspection, Revocation
from fhir_server.store import oauth_clients
from fhir_server.store.oauth_clients import ACTIVE, DISABLED, Client
from fhir_server.store.session import Connection

LONGEST_BODY = 128 * 1024
"""Bytes of the largest body that is read."""


def smart(parts: Smart) -> Blueprint:
    """The endpoints, made of ``parts``."""
    blueprint = Blueprint("smart", __name__, url_prefix="/t/<slug>")
    cross_origin = CrossOrigin(parts.settings.cors_origins)

    def serve(rule: str, methods: list[str], view: Callable[..., Response]) -> None:
        def answer(slug: str, **values: str) -> Response:
            if request.method == "OPTIONS":
                return cross_origin.allow(request, Response(status=204))
            try:
                if (request.content_length or 0) > LONGEST_BODY:
                    response = _error(413, "invalid_request", f"A request may have {LONGEST_BODY:,} bytes at most.")
                else:
                    request.max_content_length = LONGEST_BODY
                    response = view(_clinic(parts, slug), **values)
            except FhirError as error:
                response = _fhir_error(error)
            return cross_origin.allow(request, response)

        blueprint.add_url_rule(
            rule, f"{view.__name__.strip('_')}", answer, methods=[*methods, "OPTIONS"], provide_automatic_options=False
        )

    serve("/auth/token", ["POST"], _token)
    serve("/auth/introspect", ["POST"], _introspect)
    serve("/auth/revoke", ["POST"], _revoke)
    serve("/auth/register", ["POST"], _register)
    serve("/auth/register/<client_id>", ["GET", "PUT", "DELETE"], _registered)
    serve("/auth/jwks", ["GET"], _jwks)
    serve("/auth/.well-known/openid-configuration", ["GET"], _openid_configuration)
    serve("/auth/.well-known/oauth-authorization-server", ["GET"], _server_metadata)
    serve("/fhir/.well-known/smart-configuration", ["GET"], _smart_configuration)
    serve("/style.json", ["GET"], _style)
    return blueprint


def _clinic(parts: Smart, slug: str) -> Clinic:
    entry = parts.directory.find(slug)
    if entry is None:
        raise NotFound("There is no such tenant at this server.")
    return Clinic(parts, entry, slug)


def _token(clinic: Clinic) -> Response:
    server = TokenServer(clinic)
    server.register_grant(CodeGrant, [S256(required=True)])
    for grant in (RefreshGrant, CredentialsGrant, ExchangeGrant):
        server.register_grant(grant)
    return _answered(clinic, server, "token", lambda form: server.create_token_response(form))


def _introspect(clinic: Clinic) -> Response:
    server = TokenServer(clinic)
    server.register_endpoint(Introspection)
    return _answered(clinic, server, "introspect", lambda form: server.create_endpoint_response("introspection", form))


def _revoke(clinic: Clinic) -> Response:
    server = TokenServer(clinic)
    server.register_endpoint(Revocation)
    return _answered(clinic, server, "revoke", lambda form: server.create_endpoint_response("revocation", form))


def _answered(
    clinic: Clinic, server: TokenServer, endpoint: str, answer: Callable[[FormRequest], tuple[int, Any, dict[str, str]]]
) -> Response:
    """Answer a form, and record it before anybody gets to know the answer."""
    try:
        if request.mimetype != "application/x-www-form-urlencoded":
            return _error(400, "invalid_request", "The body must be application/x-www-form-urlencoded.")
        form = FormRequest(
            request.url,
            dict(request.headers),
            parameters(list(request.form.items(multi=True))),
            request.remote_addr or "",
        )
        status, body, headers = answer(form)
    except OAuth2Error as error:
        status, pairs, headers = error()
        body, headers = dict(pairs), dict(headers)
    _record(clinic, endpoint, status, server.answered, str(body.get("error", "")) if isinstance(body, dict) else "")
    response = _json(status, body)
    if status == 401 and request.authorization is not None:
        response.headers["WWW-Authenticate"] = 'Basic realm="clients"'
    return response


def _record(clinic: Clinic, endpoint: str, status: int, told: dict[str, Any], error: str = "") -> None:
    """Leave a record; what was said to be a secret is not in it. Raises Unavailable, and then nothing is answered."""
    at = events.now()
    agent = {name: told[name] for name in ("subject", "client_id", "roles", "fhir_user", "grant") if told.get(name)}
    detail = {"endpoint": endpoint} | {name: told[name] for name in ("scope", "revoked") if told.get(name)}
    clinic.smart.trail.record(
        Event(
            id=events.new_id(at),
            tenant_id=clinic.id,
            at=at,
            kind="client" if endpoint == "register" else "token",
            outcome=events.SUCCESS if status < 400 else events.REFUSED,
            status=status,
            address=request.remote_addr or "",
            reason=error,
            detail=detail,
            **agent,
        )
    )


def _register(clinic: Clinic) -> Response:
    settings = clinic_settings.read(clinic.smart.database, clinic.id)
    if settings.registration == "off":
        return _error(403, "access_denied", "Apps do not register themselves at this clinic; ask the clinic.")
    given = _bearer(request)
    digest = secrets.digest(given)
    if settings.registration == "token":
        used = clinic.smart.database.transaction(
            clinic.id, lambda c: oauth_clients.use_initial_access_token(c, clinic.id, digest, events.now())
        )
        if not used:
            _record(clinic, "register", 401, {}, "invalid_token")
            return _challenge("An initial access token of this clinic is needed to register, and this is none.")
    try:
        registered = registration.register(_body(), "dynamic registration")
    except MetadataRefused as error:
        _record(clinic, "register", 400, {}, error.error)
        return _error(400, error.error, str(error))
    clinic.smart.database.transaction(clinic.id, lambda c: oauth_clients.add(c, clinic.id, registered.client))
    _record(clinic, "register", 201, {"client_id": registered.client.id, "scope": registered.client.scope})
    return _json(
        201,
        registration.shown(
            clinic.places,
            registered.client,
            client_secret=registered.client_secret,
            registration_token=registered.registration_token,
        ),
    )


def _registered(clinic: Clinic, client_id: str) -> Response:
    client = clinic.client(client_id)
    row = client.row if client is not None else None
    if (
        row is None
        or not row.registration
        or not hmac.compare_digest(row.registration, secrets.digest(_bearer(request)))
    ):
        _record(clinic, "register", 401, {}, "invalid_token")
        return _challenge("The registration_access_token of this client is needed, and this is none.")
    if row.state == DISABLED:
        return _error(403, "access_denied", "The clinic has shut this client out.")
    if request.method == "GET":
        return _json(200, registration.shown(clinic.places, row))
    if request.method == "DELETE":
        clients.remove(clinic.smart.database, clinic.id, clinic.slug, row.id)
        clinic.smart.verifier.revocations.forget()
        _record(clinic, "register", 204, {"client_id": row.id})
        return Response(status=204, headers={"Cache-Control": "no-store"})
    return _changed(clinic, row)


def _changed(clinic: Clinic, row: Client) -> Response:
    try:
        registered = registration.changed(row, _body())
    except MetadataRefused as error:
        return _error(400, error.error, str(error))

    def write(connection: Connection) -> None:
        oauth_clients.replace(connection, clinic.id, registered.client)
        if registered.client.state != ACTIVE:
            clients.end(connection, clinic.id, clinic.slug, row.id, events.now())

    clinic.smart.database.transaction(clinic.id, write)
    _record(clinic, "register", 200, {"client_id": row.id, "scope": registered.client.scope})
    return _json(
        200,
        registration.shown(
            clinic.places,
            registered.client,
            client_secret=registered.client_secret,
            registration_token=registered.registration_token,
        ),
    )


def _jwks(clinic: Clinic) -> Response:
    response = _json(200, clinic.smart.identity_keys.public_jwks())
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _openid_configuration(clinic: Clinic) -> Response:
    settings = clinic_settings.read(clinic.smart.database, clinic.id)
    return _json(200, discovery.openid_configuration(clinic.places, settings.registration))


def _server_metadata(clinic: Clinic) -> Response:
    """The same document under the name of RFC 8414."""
    return _openid_configuration(clinic)


def _smart_configuration(clinic: Clinic) -> Response:
    settings = clinic_settings.read(clinic.smart.database, clinic.id)
    return _json(200, discovery.smart_configuration(clinic.places, settings.registration))


def _style(clinic: Clinic) -> Response:
    """The clinic's colours for apps. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling"""
    settings = clinic_settings.read(clinic.smart.database, clinic.id)
    return _json(200, _STYLE | dict(settings.style))


_STYLE = {
    "color_background": "#ffffff",
    "color_error": "#a3201d",
    "color_highlight": "#0b5c8a",
    "color_modal_backdrop": "",
    "color_success": "#1a6b3c",
    "color_text": "#1c2430",
    "dim_border_radius": "6px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, sans-serif",
    "font_family_heading": "system-ui, sans-serif",
}


def _body() -> dict[str, Any]:
    """The JSON object that was sent. Raises MetadataRefused."""
    if request.mimetype != "application/json":
        raise MetadataRefused("The body must be application/json.")
    try:
        value = json.parse(request.get_data(cache=False))
    except ValueError:
        raise MetadataRefused("The body is no JSON.") from None
    if not isinstance(value, dict):
        raise MetadataRefused("The body must be a JSON object.")
    return value


def _bearer(asked: Request) -> str:
    scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _challenge(description: str) -> Response:
    response = _error(401, "invalid_token", description)
    response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return response


def _fhir_error(error: FhirError) -> Response:
    code = "temporarily_unavailable" if error.status == 503 else "invalid_request"
    response = _error(error.status, code, str(error))
    response.headers.extend(error.headers)
    return response


def _error(status: int, error: str, description: str) -> Response:
    return _json(status, {"error": error, "error_description": description})


def _json(status: int, body: Any) -> Response:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(json.dumps(body), status, headers, content_type="application/json")
