"""The CapabilityStatement, derived from the registries. https://hl7.org/fhir/R4/capabilitystatement.html"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from fhir_server import __version__
from fhir_server.interactions.context import Context, Response
from fhir_server.operations import registry as operations
from fhir_server.r4 import definitions, json
from fhir_server.search.audit_trail import ANSWERED
from fhir_server.search.registry import Parameter
from fhir_server.search.support import searchable

INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
SYSTEM_INTERACTIONS = ("transaction", "batch", "history-system", "search-system")
FORMATS = ("application/fhir+json", "json")
PATCH_FORMATS = ("application/json-patch+json", "application/fhir+json")
# The day this statement last changed in substance; the same for every instance and every start.
DATE = "2026-11-26"


def run(ctx: Context) -> Response:
    """What this server can do, at this tenant's base. https://hl7.org/fhir/R4/http.html#capabilities"""
    return Response(200, statement(ctx.base_url))


@lru_cache(maxsize=32)
def statement(base_url: str) -> bytes:
    """The CapabilityStatement as JSON; it differs between tenants in the implementation's URL alone."""
    return json.dumps(
        {
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
                    "resource": [_resource(name) for name in definitions.load().resource_types],
                    "interaction": [{"code": code} for code in SYSTEM_INTERACTIONS],
                    "operation": [
                        {"name": o.name, "definition": o.definition}
                        for o in operations.OPERATIONS
                        if "system" in o.levels
                    ],
                }
            ],
        }
    )


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


def _resource(resource_type: str) -> dict[str, Any]:
    return {
        "type": resource_type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical"],
        "searchInclude": ["*", *(f"{resource_type}:{code}" for code in _references(resource_type))],
        "searchRevInclude": ["*", *_referring(resource_type)],
        "searchParam": [{"name": p.code, "type": p.type, "definition": p.url} for p in _claimed(resource_type)],
        "operation": [
            {"name": o.name, "definition": definition}
            for o in operations.OPERATIONS
            if (definition := o.definition_for(resource_type)) is not None
        ],
    }


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
