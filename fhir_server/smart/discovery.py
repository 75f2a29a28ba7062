"""What clients find out by themselves: the endpoints and what they can do.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from __future__ import annotations

from typing import Any

from fhir_server.authn.client_assertion import ALGORITHMS
from fhir_server.smart import id_token, scopes
from fhir_server.smart.client import GRANT_TYPES, METHODS
from fhir_server.smart.places import Places

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
"""https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#smart-on-fhir-oauth-authorization-endpoints-and-capabilities"""

_CLAIMS = (
    "aud",
    "auth_time",
    "exp",
    "fhirUser",
    "iat",
    "iss",
    "name",
    "nonce",
    "preferred_username",
    "sub",
)


def openid_configuration(places: Places, registration: str) -> dict[str, Any]:
    """The OpenID Provider's metadata, which is the authorization server's as well.

    ``registration`` is the clinic's setting: open, token or off. https://www.rfc-editor.org/rfc/rfc8414
    """
    document: dict[str, Any] = {
        "issuer": places.issuer,
        "authorization_endpoint": places.endpoint("authorize"),
        "token_endpoint": places.endpoint("token"),
        "introspection_endpoint": places.endpoint("introspect"),
        "revocation_endpoint": places.endpoint("revoke"),
        "jwks_uri": places.endpoint("jwks"),
        "management_endpoint": f"{places.clinic}/account",
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": _scopes(),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [id_token.ALGORITHM],
        "claims_supported": list(_CLAIMS),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
    if registration != "off":
        document["registration_endpoint"] = places.endpoint("register")
    return document


def smart_configuration(places: Places, registration: str) -> dict[str, Any]:
    """The same for SMART apps, which find it below the FHIR base URL."""
    return openid_configuration(places, registration) | {"capabilities": list(CAPABILITIES)}


def _scopes() -> list[str]:
    everything = [f"{context}/*.{letters}" for context in ("patient", "user", "system") for letters in ("cruds", "rs")]
    return [*scopes.PLAIN, *everything, "patient/*.read", "patient/*.write", "user/*.read", "user/*.write"]
