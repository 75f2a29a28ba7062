"""The only place where an exception becomes an OperationOutcome. https://hl7.org/fhir/R4/operationoutcome.html"""

from __future__ import annotations

import logging

from fhir_server.errors import BadRequest, FhirError, Issue
from fhir_server.interactions.context import Response
from fhir_server.r4 import json

log = logging.getLogger(__name__)


def outcome(issues: tuple[Issue, ...]) -> bytes:
    """An OperationOutcome as JSON."""
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue.to_json() for issue in issues]})


def elsewhere(status: int, url: str) -> bytes:
    """The answer to a URL that is neither FHIR's nor another page of the server, whose own address is ``url``."""
    issue = Issue(
        "error",
        "not-supported" if status == 405 else "not-found" if status == 404 else "processing",
        f"There is nothing here. FHIR is served for each tenant: {url}/t/TENANT/fhir"
        if status == 404
        else "This URL cannot be used like this.",
    )
    return outcome((issue,))


def respond(error: Exception) -> Response:
    """The answer to an exception: its status and every issue; 500 without any detail for one that nobody foresaw."""
    if isinstance(error, RecursionError):
        error = BadRequest("The body is nested too deeply.", code="too-long")
    if isinstance(error, FhirError):
        return Response(error.status, outcome(error.issues), headers=list(error.headers))
    log.error("unexpected error", exc_info=error)
    unexpected = Issue("fatal", "exception", "The server failed; quote the X-Request-Id to whoever runs it.")
    return Response(500, outcome((unexpected,)))
