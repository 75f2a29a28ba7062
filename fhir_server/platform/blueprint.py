"""/platform/api: its routes, its OpenAPI document and a page of it. https://flask-smorest.readthedocs.io/en/stable/"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response
from flask_smorest import Api, Blueprint
from werkzeug.exceptions import HTTPException

from fhir_server import __version__
from fhir_server.errors import FhirError
from fhir_server.platform import guard, signing_in, tenants
from fhir_server.platform.docs import page
from fhir_server.platform.services import Platform
from fhir_server.r4 import json

PREFIX = "/platform/api"


class _Api(Api):  # type: ignore[misc]
    """flask-smorest's, but for its handler of everybody's errors: the rest of the server has its own."""

    def _register_error_handlers(self) -> None:
        """Errors are the blueprint's."""


def register(app: Flask, platform: Platform) -> None:
    """Add the interface to the application."""
    app.config.update(
        API_TITLE="fhir-server platform",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
    )
    security = {"session": {"type": "http", "scheme": "bearer"}}
    api = _Api(app, spec_kwargs={"components": {"securitySchemes": security}, "security": [{"session": []}]})
    blueprint = Blueprint("platform", __name__, url_prefix=PREFIX, description="Running many clinics.")
    blueprint.before_request(guard.demand(platform))
    blueprint.after_request(guard.record(platform))
    blueprint.register_error_handler(FhirError, guard.answer)
    blueprint.register_error_handler(HTTPException, _refused)
    signing_in.add(blueprint, platform)
    tenants.add(blueprint, platform)

    @blueprint.route("/docs", methods=["GET"])
    @blueprint.doc(security=[])
    def docs() -> Response:
        """What there is, for people."""
        return page(api.spec.to_dict())

    api.register_blueprint(blueprint)


def _refused(error: HTTPException) -> Response:
    """What Flask and the schemas refuse, in JSON."""
    body: dict[str, Any] = {"code": error.code, "status": error.name, "message": error.description or ""}
    if messages := getattr(error, "data", {}).get("messages"):
        body["errors"] = messages
    headers = [(name, value) for name, value in error.get_headers() if name.lower() == "allow"]
    return Response(json.dumps(body), error.code or 500, headers, content_type="application/json")
