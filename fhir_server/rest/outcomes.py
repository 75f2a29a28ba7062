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


def respond(error: Exception) -> Response:
    """The answer to an exception: its status and every issue; 500 without any detail for one that nobody foresaw."""
    if isinstance(error, RecursionError):
        error = BadRequest("The body is nested too deeply.", code="too-long")
    if isinstance(error, FhirError):
        return Response(error.status, outcome(error.issues), headers=list(error.headers))
    log.error("unexpected error", exc_info=error)
    unexpected = Issue("fatal", "exception", "The server failed; quote the X-Request-Id to whoever runs it.")
    return Response(500, outcome((unexpected,)))
