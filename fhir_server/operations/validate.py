"""$validate: would this resource be accepted? https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.errors import BadRequest, Forbidden, Gone, Issue, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.masking import part_of
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.validation.issues import issues as find_issues

MODES = ("create", "update", "delete", "profile")
_PARAMETERS = ("resource", "mode", "profile")


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer 200 with every issue found, or one saying that there is none. Raises BadRequest for an unusable request.

    The resource is the body, the ``resource`` parameter of a Parameters body, or, at instance level without either,
    the stored one. ``mode`` create, update, delete or profile.
    """
    given, resource = _parameters(pairs, body)
    mode = given.get("mode", "")
    if mode and mode not in MODES:
        raise BadRequest(f"mode is one of {', '.join(MODES)}, not {mode[:40]!r}.")
    resource_type = scope[0] if scope else None
    _decide(ctx, "create" if mode == "create" else "update" if mode == "update" else "read", resource_type, resource)
    found: list[Issue] = []
    if mode == "delete":
        if len(scope) != 2:
            raise BadRequest("mode=delete is asked of one resource: [base]/[type]/[id]/$validate.")
        _stored(ctx, scope[0], scope[1])
    else:
        if resource is None:
            if len(scope) != 2:
                raise BadRequest(
                    "There is no resource to validate: send it as the body, or in Parameters as 'resource'."
                )
            resource = _stored(ctx, scope[0], scope[1])
        found.extend(find_issues(resource, resource_type))
        found.extend(_id_issues(mode, scope, resource))
    if given.get("profile"):
        # Said rather than silently passed over: a profile that was not checked must not look as if it had been.
        text = f"The profile {given['profile']} was not applied; the resource was checked against FHIR R4 itself."
        found.append(Issue("warning", "not-supported", text))
    ctx.phases.mark("validate")
    if not any(issue.severity in ("fatal", "error") for issue in found):
        found.insert(0, Issue("information", "informational", "No issues found: the resource is valid FHIR R4."))
    return Response(200, json.dumps({"resourceType": "OperationOutcome", "issue": [i.to_json() for i in found]}))


def _parameters(pairs: list[tuple[str, str]], body: object) -> tuple[dict[str, str], object]:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in ("mode", "profile"):
            given[name] = value
        elif name not in ("_format", "_pretty"):
            raise BadRequest(f"$validate has the parameters {', '.join(_PARAMETERS)}, not {name[:64]!r}.")
    if not (isinstance(body, dict) and body.get("resourceType") == "Parameters"):
        return given, body
    resource: object = None
    parameters = body.get("parameter")
    for position, parameter in enumerate(parameters if isinstance(parameters, list) else []):
        place = f"Parameters.parameter[{position}]"
        parameter_name = parameter.get("name") if isinstance(parameter, dict) else None
        if parameter_name == "resource":
            resource = parameter.get("resource")
        elif parameter_name in ("mode", "profile"):
            values = [v for k, v in parameter.items() if k.startswith("value") and isinstance(v, str)]
            if len(values) != 1:
                raise BadRequest(f"The parameter {parameter_name} must have one value.", expression=place)
            given[parameter_name] = values[0]
        else:
            raise BadRequest(f"$validate has the parameters {', '.join(_PARAMETERS)}.", expression=place)
    if resource is None and "mode" not in given and "profile" not in given:
        return given, body
    return given, resource


def _decide(ctx: Context, interaction: str, resource_type: str | None, resource: object) -> None:
    if resource_type is None and isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
        resource_type = resource["resourceType"]
    if ctx.decide(interaction, resource_type).nothing:
        raise Forbidden(f"The access_token does not permit {interaction} on {resource_type or 'this'}.")


def _stored(ctx: Context, resource_type: str, resource_id: str) -> dict[str, Any]:
    stored = ctx.store.read(ctx.decide("read", resource_type), resource_type, resource_id)
    if stored is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known.")
    if stored.deleted:
        raise Gone(f"{resource_type}/{resource_id} was deleted.")
    resource: dict[str, Any] = json.parse(stored.to_bytes())
    return part_of(ctx, resource)


def _id_issues(mode: str, scope: Sequence[str], resource: object) -> list[Issue]:
    if not isinstance(resource, dict):
        return []
    place = f"{resource.get('resourceType')}.id"
    if mode == "update" and len(scope) < 2 and "id" not in resource:
        return [Issue("error", "required", "An update needs the id of the resource.", place)]
    if len(scope) == 2 and resource.get("id", scope[1]) != scope[1]:
        return [Issue("error", "value", f"The id must be that of the URL, {scope[1]}.", place)]
    return []


OPERATION = Operation(
    "validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate", ("type", "instance"), run, needs=("read",)
)
