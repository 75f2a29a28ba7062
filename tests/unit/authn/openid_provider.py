"""A small OpenID provider on authlib's server classes, that can be made to lie."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify, request
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry
from werkzeug.serving import WSGIRequestHandler, make_server

CLIENT_ID, SECRET = "clinic: 1", "s%cr+t & more"
REDIRECT_URI = "https://fhir.example/t/a/upstream"
KEY = jwk.RSAKey.generate_key(2048, {"kid": "k1"})
STRANGER = jwk.RSAKey.generate_key(2048, {"kid": "k1"})

Change = Callable[[dict[str, Any], dict[str, Any]], None]


class Client(ClientMixin):
    method = "client_secret_basic"

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == REDIRECT_URI

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Code(AuthorizationCodeMixin):
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def get_redirect_uri(self) -> str:
        return str(self.__dict__["redirect_uri"])

    def get_scope(self) -> str:
        return str(self.__dict__["scope"])

    def get_nonce(self) -> str:
        return str(self.__dict__["nonce"])

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> list[str]:
        return ["pwd", "otp"]


class Provider:
    """What the provider says; tests change it."""

    def __init__(self) -> None:
        self.issuer = ""
        self.client = Client()
        self.codes: dict[str, Code] = {}
        self.document: dict[str, Any] = {}
        self.person = {"sub": "user-7", "preferred_username": "mira", "email": "m@example.org", "email_verified": True}
        self.userinfo: dict[str, Any] = {}
        self.change: Change = lambda header, claims: None
        self.token_change: Callable[[dict[str, Any]], None] = lambda tokens: None
        self.signing: Any = KEY
        self.token_status = 0

    def answer(self, url: str) -> dict[str, str]:
        """What the browser brings back after a visit to ``url``, as the person has agreed."""
        with self.app.test_client() as browser:
            response = browser.get("/authorize?" + urlsplit(url).query, base_url=self.issuer)
        assert response.status_code == 302, response.get_data()
        return dict(parse_qsl(urlsplit(response.headers["Location"]).query))

    def serve(self, issuer: str) -> Flask:
        self.issuer = issuer
        self.document = {
            "issuer": issuer,
            "authorization_endpoint": issuer + "/authorize",
            "token_endpoint": issuer + "/token",
            "userinfo_endpoint": issuer + "/userinfo",
            "jwks_uri": issuer + "/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        self.app = Flask("provider")
        server = AuthorizationServer(self.app, lambda _: self.client, lambda token, _: None)
        server.register_grant(_grant(self), [_openid(self), CodeChallenge(required=True)])
        self.app.get("/.well-known/openid-configuration", endpoint="configuration")(lambda: jsonify(self.document))
        self.app.get("/jwks", endpoint="jwks")(lambda: jsonify({"keys": [KEY.as_dict(private=False)]}))
        self.app.get("/authorize", endpoint="authorize")(
            lambda: server.create_authorization_response(grant_user="someone", grant=server.get_consent_grant())
        )

        @self.app.post("/token")
        def token() -> Any:
            response = server.create_token_response()
            tokens = response.get_json()
            self.token_change(tokens)
            response.set_data(json.dumps(tokens))
            response.status_code = self.token_status or response.status_code
            return response

        @self.app.get("/userinfo")
        def userinfo() -> Any:
            assert request.headers["Authorization"].startswith("Bearer ")
            return jsonify(self.userinfo)

        return self.app


def _grant(provider: Provider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            provider.codes[code] = Code(
                code=code,
                redirect_uri=request.payload.redirect_uri,
                scope=request.payload.scope,
                nonce=data.get("nonce"),
                code_challenge=data.get("code_challenge"),
                code_challenge_method=data.get("code_challenge_method"),
            )

        def query_authorization_code(self, code: str, client: Any) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Any) -> None:
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Any) -> str:
            return "someone"

    return Grant


def _openid(provider: Provider) -> OpenIDCode:
    class OpenID(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return any(code.get_nonce() == nonce for code in provider.codes.values())

        def resolve_client_private_key(self, client: Any) -> jwk.RSAKey:
            return KEY

        def get_client_algorithm(self, client: Any) -> str:
            return "RS256"

        def get_client_claims(self, client: Any) -> dict[str, Any]:
            now = int(time.time())
            return {"iss": provider.issuer, "aud": [CLIENT_ID], "iat": now, "exp": now + 60}

        def generate_user_info(self, user: str, scope: str) -> UserInfo:
            return UserInfo(provider.person)

        def encode_id_token(self, token: Any, request: Any) -> str:
            honest = jwt.decode(super().encode_id_token(token, request), KEY)
            header, claims = {"kid": "k1"} | honest.header, honest.claims
            provider.change(header, claims)
            if header["alg"] == "none":
                coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
                return b".".join([*coded, b""]).decode()
            registry = JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
            return jwt.encode(header, claims, provider.signing, registry=registry)

    return OpenID()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Nothing is written to the tests' output."""


@contextmanager
def running(provider: Provider, context: ssl.SSLContext, host: str) -> Iterator[Provider]:
    """The provider at https://``host``:port over real sockets."""
    flask = Flask("to be replaced")
    server = make_server("127.0.0.1", 0, flask, threaded=True, request_handler=_Quiet, ssl_context=context)
    server.app = provider.serve(f"https://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
