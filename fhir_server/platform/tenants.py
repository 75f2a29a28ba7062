"""The clinics, seen by those who run the platform. docs/platform.md"""

from __future__ import annotations

from typing import Any

from flask import g
from flask_smorest import Blueprint
from marshmallow import RAISE

from fhir_server.audit.verify import Head, beginning_of, verify_part
from fhir_server.authn import access_token
from fhir_server.authn.people import PLATFORM, PLATFORM_ROLE
from fhir_server.errors import BadRequest, Conflict, NotFound
from fhir_server.platform import schemas
from fhir_server.platform.guard import caller
from fhir_server.platform.services import Platform
from fhir_server.store import directory, tenants
from fhir_server.store import platform as rows
from fhir_server.store.tenants import Tenant

SCOPE = "user/*.rs"
"""What somebody of the platform may do at a clinic: look."""

CLIENT_ID = "platform"

MOST_RECORDS = 10_000
"""How many records of an audit trail one request looks at: a second or two."""


def add(blueprint: Blueprint, platform: Platform) -> None:
    """The routes."""

    @blueprint.route("/tenants", methods=["GET"])
    @blueprint.response(200, schemas.TenantSchema(many=True))
    def tenants_list() -> list[dict[str, Any]]:
        """Every clinic, by slug."""
        found = platform.database.run(tenants.listed, read_only=True)
        return [_shown(platform, one) for one in found]

    @blueprint.route("/tenants", methods=["POST"])
    @blueprint.arguments(schemas.NewTenantSchema)
    @blueprint.response(201, schemas.TenantSchema)
    def tenant_create(given: dict[str, Any]) -> dict[str, Any]:
        """Add a clinic. It answers FHIR at once; `fhir-server user create` adds its first people."""
        name = _name(given["name"] or given["slug"])
        made = platform.database.transaction(PLATFORM, lambda c: rows.create(c, given["slug"], name))
        if made is None:
            raise Conflict(f"The tenant {given['slug']} exists already.")
        return _shown(platform, made)

    @blueprint.route("/tenants/<slug>", methods=["GET"])
    @blueprint.response(200, schemas.TenantSchema)
    def tenant_read(slug: str) -> dict[str, Any]:
        """One clinic."""
        return _shown(platform, _found(platform, slug))

    @blueprint.route("/tenants/<slug>", methods=["PATCH"])
    @blueprint.arguments(schemas.TenantChangeSchema)
    @blueprint.response(200, schemas.TenantSchema)
    def tenant_change(given: dict[str, Any], slug: str) -> dict[str, Any]:
        """Change a clinic's name, or how long its searches may take. Web processes follow within half a minute."""
        before = _found(platform, slug)
        name = _name(given.get("name", before.name))
        limit = given.get("search_timeout_ms", before.search_timeout_ms)
        platform.database.transaction(PLATFORM, lambda c: rows.change(c, slug, name, limit))
        return _shown(platform, _found(platform, slug))

    @blueprint.route("/tenants/<slug>/people", methods=["GET"])
    @blueprint.response(200, schemas.PersonSchema(many=True))
    def tenant_people(slug: str) -> list[Any]:
        """Who may sign in at a clinic."""
        return list(platform.people.listed(_found(platform, slug).id))

    @blueprint.route("/tenants/<slug>/audit/verification", methods=["GET"])
    @blueprint.arguments(schemas.VerificationFromSchema, location="query", unknown=RAISE)
    @blueprint.response(200, schemas.VerificationSchema)
    def audit_verification(given: dict[str, Any], slug: str) -> dict[str, Any]:
        """Is the clinic's audit trail as it was written? So many records at a time, after `head`, or the newest ones.

        `fhir-server audit verify` looks at all of it.
        """
        entry = directory.entry(platform.database, _found(platform, slug).slug)
        if entry is None:
            raise NotFound("There is no such tenant.")
        kept = _head(given["head"], entry.id) if given["head"] else None
        found = verify_part(platform.database, platform.store_of(entry).hasher, entry.id, kept, MOST_RECORDS)
        return {
            "after": found.after,
            "records": found.head.seq - found.after,
            "head": str(found.head),
            "complete": found.complete,
            "problem": found.problem,
        }

    @blueprint.route("/tenants/<slug>/access-tokens", methods=["POST"])
    @blueprint.arguments(schemas.WantedAccessSchema)
    @blueprint.response(201, schemas.AccessSchema)
    def access_create(given: dict[str, Any], slug: str) -> dict[str, Any]:
        """An access_token for looking into a clinic; the clinic finds the reason in its audit trail."""
        _found(platform, slug)
        g.kind, g.reason = "token", given["reason"]
        seconds = given["minutes"] * 60
        token = access_token.issue(
            platform.keys,
            issuer=platform.settings.issuer,
            sub=caller().person.id,
            client_id=CLIENT_ID,
            tenant=slug,
            scope=SCOPE,
            lifetime=seconds,
            roles=(PLATFORM_ROLE,),
        )
        return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": SCOPE}

    @blueprint.route("/people", methods=["GET"])
    @blueprint.response(200, schemas.PersonSchema(many=True))
    def people_list() -> list[Any]:
        """Who runs the platform."""
        return list(platform.people.listed(PLATFORM))


def _found(platform: Platform, slug: str) -> Tenant:
    """Raises NotFound, Unavailable."""
    found = None
    if tenants.SLUG.fullmatch(slug):
        found = platform.database.run(lambda c: tenants.find(c, slug), read_only=True)
    if found is None:
        raise NotFound("There is no such tenant.")
    return found


def _head(text: str, tenant_id: int) -> Head:
    """Raises BadRequest."""
    if text == "0":
        return beginning_of(tenant_id)
    try:
        return Head.parse(text)
    except ValueError:
        raise BadRequest("head is NUMBER:HASH, as an earlier answer has it, or 0 for the beginning.") from None


def _name(name: str) -> str:
    if not name.isprintable():
        raise BadRequest("A tenant's name must be printable characters.")
    return name


def _shown(platform: Platform, one: Tenant) -> dict[str, Any]:
    return {
        "slug": one.slug,
        "name": one.name,
        "created": one.created,
        "search_timeout_ms": one.search_timeout_ms,
        "base": f"{platform.settings.public_url}/t/{one.slug}/fhir",
    }
