"""The exceptions that mean something to a client, each with its HTTP status and issue type.

    FhirError
      BadRequest 400 invalid          Unauthenticated 401 login      Forbidden 403 forbidden
      NotFound 404 not-found          MethodNotAllowed 405 not-supported
      NotAcceptable 406 not-supported Conflict 409 conflict          Gone 410 deleted
      PreconditionFailed 412 conflict MultipleMatches 412 multiple-matches
      TooLarge 413 too-long           UriTooLong 414 too-long
      UnsupportedMediaType 415 not-supported
      Invalid 422 (one issue for each finding)
      TooManyRequests 429 throttled   Unavailable 503 transient

https://hl7.org/fhir/R4/http.html#Status-Codes and https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

REASONS = "urn:fhir-server:reason"
"""The system of the codes that say why something was refused: docs/access.md"""


@dataclass(frozen=True, slots=True)
class Issue:
    """One entry of an OperationOutcome. https://hl7.org/fhir/R4/operationoutcome.html

    ``severity`` is fatal, error, warning or information; ``code`` an issue type; ``expression`` the FHIRPath location
    ("Patient.name[0].family") or "" where none applies. ``details`` is a code of this server's own for the reason, or
    "".
    """

    severity: str
    code: str
    diagnostics: str
    expression: str = ""
    details: str = ""

    def to_json(self) -> dict[str, object]:
        """The issue as OperationOutcome.issue. https://hl7.org/fhir/R4/operationoutcome-definitions.html"""
        issue: dict[str, object] = {"severity": self.severity, "code": self.code, "diagnostics": self.diagnostics}
        if self.details:
            issue["details"] = {"coding": [{"system": REASONS, "code": self.details}]}
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


class FhirError(Exception):
    """Something the client can act on; rest/outcomes.py turns it into an OperationOutcome."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(
        self,
        diagnostics: str = "",
        *,
        code: str | None = None,
        expression: str = "",
        issues: Sequence[Issue] = (),
        headers: Sequence[tuple[str, str]] = (),
        details: str = "",
    ) -> None:
        super().__init__(diagnostics)
        self.issues: tuple[Issue, ...] = tuple(issues) or (
            Issue("error", code or self.code, diagnostics, expression, details),
        )
        self.headers: tuple[tuple[str, str], ...] = tuple(headers)


class BadRequest(FhirError):
    """The request cannot be understood."""

    status, code = 400, "invalid"


class Unauthenticated(FhirError):
    """No access_token, or one that is not valid here."""

    status, code = 401, "login"


class Forbidden(FhirError):
    """The access_token does not permit this."""

    status, code = 403, "forbidden"


class NotFound(FhirError):
    """Nothing is known at this URL."""

    status, code = 404, "not-found"


class MethodNotAllowed(FhirError):
    """This URL does not take that HTTP method."""

    status, code = 405, "not-supported"


class NotAcceptable(FhirError):
    """No format that the client accepts can be produced."""

    status, code = 406, "not-supported"


class Conflict(FhirError):
    """The write collides with the present state."""

    status, code = 409, "conflict"


class Gone(FhirError):
    """The resource was deleted."""

    status, code = 410, "deleted"


class PreconditionFailed(FhirError):
    """If-Match, or another condition that the client set, does not hold."""

    status, code = 412, "conflict"


class MultipleMatches(FhirError):
    """A conditional interaction matched more than one resource."""

    status, code = 412, "multiple-matches"


class TooLarge(FhirError):
    """The request exceeds a limit."""

    status, code = 413, "too-long"


class UriTooLong(FhirError):
    """The URL exceeds the limit; a search can be sent by POST to _search."""

    status, code = 414, "too-long"


class UnsupportedMediaType(FhirError):
    """The body's Content-Type cannot be read."""

    status, code = 415, "not-supported"


class Invalid(FhirError):
    """The resource breaks rules of FHIR; ``issues`` lists each of them."""

    status, code = 422, "invalid"


class TooManyRequests(FhirError):
    """The client must slow down."""

    status, code = 429, "throttled"


class Unavailable(FhirError):
    """The server cannot answer just now; the same request may succeed later."""

    status, code = 503, "transient"
