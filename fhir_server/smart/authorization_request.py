"""What a client asks the authorization endpoint for, read and checked. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from fhir_server.smart import scopes
from fhir_server.smart.client import OAuthClient
from fhir_server.smart.errors import PageError, RedirectError
from fhir_server.smart.places import Places

LONGEST = 8000
"""Characters of the longest parameter."""

_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")
_PROMPTS = frozenset(("none", "login", "consent", "select_account"))


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be asked of a person. ``launch`` is the handle of an EHR launch, ``max_age`` -1 for none."""

    client_id: str
    client_name: str
    redirect_uri: str
    scope: str
    state: str
    challenge: str
    nonce: str = ""
    prompt: str = ""
    max_age: int = -1
    login_hint: str = ""
    launch: str = ""

    @property
    def scopes(self) -> list[str]:
        """What it asks for."""
        return self.scope.split()

    @property
    def needs_patient(self) -> bool:
        """Whether a patient is to be in context that no launch has brought.

        https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#standalone-apps
        """
        asked = self.scopes
        wanted = scopes.LAUNCH_PATIENT in asked or scopes.LAUNCH_ENCOUNTER in asked
        return wanted or any(text.startswith("patient/") for text in asked)

    def stored(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def restored(values: Mapping[str, Any]) -> AuthorizationRequest:
    """A request as `AuthorizationRequest.stored` gave it."""
    return AuthorizationRequest(**{field.name: values[field.name] for field in fields(AuthorizationRequest)})


def read(
    find: Callable[[str], OAuthClient | None], places: Places, parameters: Mapping[str, Sequence[str]]
) -> AuthorizationRequest:
    """Read a request's parameters, each with all its values. ``find`` finds a client by its id.

    Raises PageError while it is not known where the person could be sent, RedirectError afterwards.
    """
    values = {name: given[0] for name, given in parameters.items() if given and given[0]}
    client = _client(find, values.get("client_id", ""))
    redirect_uri = values.get("redirect_uri", "") or client.get_default_redirect_uri()
    if len(parameters.get("redirect_uri", ())) > 1 or len(parameters.get("client_id", ())) > 1:
        raise PageError("client_id and redirect_uri must be given once.")
    if not redirect_uri:
        raise PageError("redirect_uri is missing, and the app has registered more than one.")
    if not client.check_redirect_uri(redirect_uri):
        raise PageError("The redirect_uri is not one that the app has registered, character for character.")
    request = AuthorizationRequest(
        client.client_id,
        client.row.name,
        redirect_uri,
        " ".join(dict.fromkeys(values.get("scope", "").split())),
        values.get("state", ""),
        values.get("code_challenge", ""),
        nonce=values.get("nonce", ""),
        prompt=values.get("prompt", ""),
        login_hint=values.get("login_hint", "")[:200],
        launch=values.get("launch", ""),
    )
    _check(request, client, places, values, parameters)
    return _with_max_age(request, values.get("max_age", ""))


def _client(find: Callable[[str], OAuthClient | None], client_id: str) -> OAuthClient:
    if not client_id:
        raise PageError("client_id is missing: the address does not say which app asks.")
    client = find(client_id) if len(client_id) <= 200 else None
    if client is None:
        raise PageError("No app is registered at this clinic under the client_id that was given.")
    if not client.active:
        raise PageError("This app is not approved at this clinic, or not any more.")
    return client


def _check(
    request: AuthorizationRequest,
    client: OAuthClient,
    places: Places,
    values: Mapping[str, str],
    parameters: Mapping[str, Sequence[str]],
) -> None:
    def refuse(error: str, description: str) -> None:
        raise RedirectError(request, error, description)

    if repeated := [name for name, given in parameters.items() if len(given) > 1]:
        refuse("invalid_request", f"These parameters were given more than once: {', '.join(sorted(repeated))[:200]}.")
    if any(len(value) > LONGEST or "\0" in value for value in values.values()):
        refuse("invalid_request", f"A parameter is longer than {LONGEST:,} characters.")
    if "request" in values or "request_uri" in values:
        refuse("request_not_supported", "Request objects are not supported: send the parameters themselves.")
    if not values.get("response_type"):
        refuse("invalid_request", "response_type is missing; it must be code.")
    if not client.check_response_type(values["response_type"]):
        refuse("unsupported_response_type", "response_type must be code, and the app registered for it.")
    if values.get("response_mode", "query") != "query":
        refuse("invalid_request", "response_mode must be query.")
    _check_security(request, places, values, refuse)
    asked = request.scopes
    if not asked:
        refuse("invalid_scope", "scope is missing.")
    if request.launch and scopes.LAUNCH not in asked:
        refuse("invalid_scope", "An app that is launched must ask for the scope launch.")
    if any(text.startswith("system/") for text in asked):
        refuse("invalid_scope", "system/ scopes are for services that act for nobody (grant_type=client_credentials).")
    prompts = set(request.prompt.split())
    if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
        refuse("invalid_request", "prompt must be none, or one or more of login, consent and select_account.")


def _check_security(
    request: AuthorizationRequest, places: Places, values: Mapping[str, str], refuse: Callable[[str, str], None]
) -> None:
    if values.get("code_challenge_method", "") != "S256":
        refuse("invalid_request", "code_challenge_method must be S256: PKCE is required of every app.")
    if not _CHALLENGE.fullmatch(request.challenge):
        refuse(
            "invalid_request", "code_challenge must be the SHA-256 of the code_verifier, 43 characters of base64url."
        )
    audience = values.get("aud") or values.get("resource") or ""
    if not places.is_base(audience):
        refuse("invalid_request", f"aud must be the FHIR base URL that the app wants to use: {places.base}.")
    if not request.state:
        refuse("invalid_request", "state is missing: without it the app cannot tell its own requests from others'.")


def _with_max_age(request: AuthorizationRequest, text: str) -> AuthorizationRequest:
    if not text:
        return request
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise RedirectError(request, "invalid_request", "max_age must be a number of seconds.")
    return restored(request.stored() | {"max_age": int(text)})
