"""The answer to a batch or transaction, joined from bytes. https://hl7.org/fhir/R4/http.html#transaction-response"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from fhir_server.errors import FhirError, Issue
from fhir_server.interactions.context import Response
from fhir_server.r4 import json
from fhir_server.r4.instants import format_instant

_OUTCOME = b'{"resourceType":"OperationOutcome"'
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def bundle(kind: str, entries: Iterable[bytes]) -> Response:
    """The Bundle of the given type ("transaction-response") around its entries."""
    joined = b",".join(entries)
    head = b'{"resourceType":"Bundle","type":"' + kind.encode() + b'"'
    return Response(200, head + (b',"entry":[' + joined + b"]}" if joined else b"}"))


def entry(base_url: str, response: Response) -> bytes:
    """One entry: what an interaction answered. https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.response

    A resource that it answered with stands beside the response, an OperationOutcome about it inside.
    """
    head, outcome = b"{", b""
    if response.body is not None:
        if response.body.startswith(_OUTCOME):
            outcome = b',"outcome":' + response.body
        else:
            name = response.location.partition("/_history")[0]
            if name:
                head += b'"fullUrl":' + json.dumps(f"{base_url}/{name}") + b","
            head += b'"resource":' + response.body + b","
    return head + b'"response":{' + _response(response) + outcome + b"}}"


def written(name: str, status: int, version: int, last_updated: str) -> bytes:
    """One entry: a resource that was written, without its content.

    ``name`` is "Patient/1", ``last_updated`` an instant. https://hl7.org/fhir/R4/http.html#transaction-response
    """
    return (
        f'{{"response":{{"status":"{_STATUS[status]}","location":"{name}/_history/{version}",'
        f'"etag":"W/\\"{version}\\"","lastModified":"{last_updated}"}}}}'
    ).encode()


def failed(error: FhirError) -> bytes:
    """One entry of a batch: an interaction that failed, and why."""
    return _failure(error.status, error.issues)


def unexpected() -> bytes:
    """One entry of a batch: an interaction that failed in a way that nobody foresaw."""
    return _failure(500, [Issue("fatal", "exception", "The server failed; quote the X-Request-Id to whoever runs it.")])


def _failure(status: int, issues: Iterable[Issue]) -> bytes:
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": [issue.to_json() for issue in issues]})
    return b'{"response":{"status":"' + _STATUS[status].encode() + b'","outcome":' + outcome + b"}}"


def _response(response: Response) -> bytes:
    text = f'"status":"{_STATUS[response.status]}"'
    if response.location:
        text += f',"location":"{response.location}"'
    if response.version is not None:
        text += f',"etag":"W/\\"{response.version}\\""'
    if response.last_updated is not None:
        text += f',"lastModified":"{format_instant(response.last_updated)}"'
    return text.encode()
