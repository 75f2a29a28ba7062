"""$access: may somebody do this, and why, or why not. docs/access.md, "Why?"

What is out of the asker's own reach and what there is not get the same answer: nothing is looked at for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.errors import BadRequest
from fhir_server.interactions import audit_events, decision_tree, looked_at
from fhir_server.interactions.asked_about import subject
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named, required
from fhir_server.interactions.smallest_grants import Question
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json, references
from fhir_server.search.suggest import shown

INTERACTIONS = ("read", "vread", "search-type", "count", "create", "update", "delete", "history")
_ON_TYPES = ("search-type", "count", "create")
_PARAMETERS = ("interaction", "url", "user", "scope", "patient")
_LONGEST_URL = 2_000


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters: the decision, and what it was made of. Raises BadRequest, Forbidden, NotFound."""
    given = named("$access", _PARAMETERS, pairs, body)
    question = _question(ctx, given)
    principal, person = subject(ctx, given, question.resource_type)
    seen = looked_at.seen(ctx, ctx.decide("read", question.resource_type), question)
    ctx.phases.mark("sql")
    parameters: list[dict[str, Any]] = decision_tree.tree(ctx, question, principal, person, seen)
    ctx.phases.mark("decide")
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": parameters}))


def _question(ctx: Context, given: dict[str, str]) -> Question:
    asked = required("$access", given, "interaction", 1, 64)
    if asked not in INTERACTIONS:
        raise BadRequest(f"interaction is one of {', '.join(INTERACTIONS)}; not {shown(asked)}.")
    url = required("$access", given, "url", 1, _LONGEST_URL).removeprefix(ctx.base_url).strip("/")
    of_type = asked in _ON_TYPES
    found = references.parse(f"{url}/x" if "/" not in url else url)
    if found.kind != "relative":
        raise BadRequest(f"url names a type, a resource or a version of one below [base]; not {shown(url)}.")
    whole_type = "/" not in url
    if whole_type != of_type and not (whole_type and asked == "history"):
        wanted = found.type if of_type else f"{found.type}/[id]"
        raise BadRequest(f"The interaction {asked} is on {wanted}; the url is {shown(url)}.")
    if bool(found.version) != (asked == "vread"):
        raise BadRequest("A vread, and nothing else, is on a version: [type]/[id]/_history/[version].")
    if asked == "history":
        asked = "history-type" if whole_type else "history-instance"
    recorded = not whole_type and audit_events.is_trail(found.type, found.id)
    return Question(asked, found.type, "" if whole_type else found.id, found.version, recorded)


_DEFINITION = "urn:fhir-server:operation:access"
OPERATION = Operation("access", _DEFINITION, ("system",), run)
