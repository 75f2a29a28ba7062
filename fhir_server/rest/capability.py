"""The CapabilityStatement, derived from the registries: of the server, or of what a caller can do with it.
https://hl7.org/fhir/R4/capabilitystatement.html"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from fhir_server import __version__
from fhir_server.interactions.context import Context, Response
from fhir_server.operations import registry as operations
from fhir_server.operations.operation import Operation
from fhir_server.r4 import definitions, json
from fhir_server.rest.capability_reach import ANYBODY, Caller, Reach
from fhir_server.search.audit_trail import ANSWERED
from fhir_server.search.registry import Parameter
from fhir_server.search.support import searchable

INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
SYSTEM_INTERACTIONS = ("transaction", "batch", "history-system", "search-system")
_OF_ENTRIES = ("transaction", "batch")
"""What everybody can send; each entry is decided by itself."""

FORMATS = ("application/fhir+json", "json")
PATCH_FORMATS = ("application/json-patch+json", "application/fhir+json")
# The day this statement last changed in substance; the same for every instance and every start.
DATE = "2026-11-26"


def run(ctx: Context) -> Response:
    """What this server can do, at this tenant's base. https://hl7.org/fhir/R4/http.html#capabilities"""
    body = of_caller(ctx.base_url, Caller.of(ctx)) if ctx.principal.tenant else statement(ctx.base_url)
    return Response(200, body, headers=[("Vary", "Authorization")])


@lru_cache(maxsize=32)
def statement(base_url: str) -> bytes:
    """The CapabilityStatement as JSON; it differs between tenants in the implementation's URL alone."""
    return json.dumps(_statement(base_url, ANYBODY))


@lru_cache(maxsize=16)
def of_caller(base_url: str, caller: Caller) -> bytes:
    """The same of what a caller can do; made once for everybody with the same roles and scopes."""
    return json.dumps(_statement(base_url, caller))


def _statement(base_url: str, caller: Reach) -> dict[str, Any]:
    system = [code for code in SYSTEM_INTERACTIONS if code in _OF_ENTRIES or caller.can(code, None)]
    resources = (_resource(name, caller) for name in definitions.load().resource_types)
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "fhir-server", "version": __version__},
        "implementation": {"description": "FHIR R4 server", "url": base_url},
        "fhirVersion": definitions.load().version,
        "format": list(FORMATS),
        "patchFormat": list(PATCH_FORMATS),
        "rest": [
            {
                "mode": "server",
                "security": _security(base_url),
                "resource": [one for one in resources if one],
                "interaction": [{"code": code} for code in system],
                "operation": [
                    {"name": o.name, "definition": o.definition}
                    for o in operations.OPERATIONS
                    if "system" in o.levels and _offered(o, None, caller)
                ],
            }
        ],
    }


def _offered(operation: Operation, resource_type: str | None, caller: Reach) -> bool:
    if operation.whole and resource_type is not None and caller.in_part(resource_type):
        return False
    return not operation.needs or any(caller.can(one, resource_type) for one in operation.needs)


def _security(base_url: str) -> dict[str, Any]:
    """Where access_tokens come from; the extension is for apps that do not look at .well-known/smart-configuration.

    https://hl7.org/fhir/smart-app-launch/1.0.0/conformance/index.html
    """
    server = base_url.removesuffix("/fhir") + "/auth"
    endpoints = ("authorize", "token", "introspect", "revoke", "register")
    return {
        "extension": [
            {
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                "extension": [{"url": name, "valueUri": f"{server}/{name}"} for name in endpoints],
            }
        ],
        "cors": True,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                    }
                ],
                "text": "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org)",
            }
        ],
        "description": "Every request but this one needs an access_token (Authorization: Bearer) of this tenant, with "
        "SMART scopes.",
    }


def _resource(resource_type: str, caller: Reach) -> dict[str, Any]:
    """What can be done with resources of a type; {} for nothing."""
    can = {code: caller.can(code, resource_type) for code in INTERACTIONS}
    can["search-type"] = can["search-type"] or caller.can("count", resource_type)
    offered = [
        {"name": o.name, "definition": definition}
        for o in operations.OPERATIONS
        if (definition := o.definition_for(resource_type)) is not None and _offered(o, resource_type, caller)
    ]
    if not any(can.values()) and not offered:
        return {}
    said: dict[str, Any] = {
        "type": resource_type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
        "interaction": [{"code": code} for code in INTERACTIONS if can[code]],
        "versioning": "versioned-update",
        "readHistory": can["vread"],
        "updateCreate": can["update"] and caller.whole("update", resource_type),
        "conditionalCreate": can["create"] and can["search-type"],
        "conditionalRead": "full-support" if can["read"] else "not-supported",
        "conditionalUpdate": can["update"] and can["search-type"],
        "conditionalDelete": "single" if can["delete"] and can["search-type"] else "not-supported",
        "referencePolicy": ["literal", "logical"],
    }
    if note := caller.note(resource_type):
        said["documentation"] = note
    if can["search-type"]:
        referring = (one for one in _referring(resource_type) if caller.can("search-type", one.partition(":")[0]))
        said |= {
            "searchInclude": ["*", *(f"{resource_type}:{code}" for code in _references(resource_type))],
            "searchRevInclude": ["*", *referring],
            "searchParam": [{"name": p.code, "type": p.type, "definition": p.url} for p in _claimed(resource_type)],
        }
    return said | ({"operation": offered} if offered else {})


def _claimed(resource_type: str) -> list[Parameter]:
    """The search parameters of a type; of AuditEvents those that the audit trail answers. docs/audit.md"""
    known = searchable(resource_type)
    return [one for one in known if one.code in ANSWERED] if resource_type == "AuditEvent" else list(known)


def _references(resource_type: str) -> list[str]:
    return [one.code for one in searchable(resource_type) if one.type == "reference"]


@cache
def _referring(resource_type: str) -> tuple[str, ...]:
    """The references of other types that are to this one by name; those that may lead to any type are left out."""
    return tuple(
        f"{source}:{one.code}"
        for source in definitions.load().resource_types
        for one in searchable(source)
        if one.type == "reference" and resource_type in one.targets
    )
