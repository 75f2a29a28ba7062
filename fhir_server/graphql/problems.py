"""What can be wrong with a GraphQL request, and how it is told. https://spec.graphql.org/October2021/#sec-Errors"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql.language import Node, get_location

from fhir_server.errors import Issue

Path = tuple[str | int, ...]


class GraphqlError(Exception):
    """One error of the answer.

    ``code`` is a FHIR issue type (https://hl7.org/fhir/R4/valueset-issue-type.html); ``nodes`` the parts of the query
    that it is about; ``path`` the place in the answer, once known.
    """

    def __init__(self, message: str, *nodes: Node | None, code: str = "invalid", path: Path = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.path = path
        self.places = tuple(place for node in nodes if (place := _place(node)) is not None)

    def to_json(self) -> dict[str, Any]:
        """The error as GraphQL has it, with an OperationOutcome as FHIR wants it."""
        issue = Issue("error", self.code, self.message, ".".join(map(str, self.path)))
        outcome = {"resourceType": "OperationOutcome", "issue": [issue.to_json()]}
        found: dict[str, Any] = {"message": self.message}
        if self.places:
            found["locations"] = [{"line": line, "column": column} for line, column in self.places]
        if self.path:
            found["path"] = list(self.path)
        return found | {"extensions": {"code": self.code, "resource": outcome}}


class RequestError(GraphqlError):
    """The request as a whole cannot be answered: nothing of it is. Status 400."""


class FieldError(GraphqlError):
    """One field has no value: it is null, the others are as they are."""


def _place(node: Node | None) -> tuple[int, int] | None:
    if node is None or node.loc is None:
        return None
    found = get_location(node.loc.source, node.loc.start)
    return found.line, found.column


def request_errors(errors: Sequence[GraphqlError]) -> dict[str, Any]:
    """The answer to a request that was not executed: without ``data``."""
    return {"errors": [error.to_json() for error in errors]}
