"""A resource as bytes from what the store holds of it; nothing stored is parsed.
https://hl7.org/fhir/R4/resource.html#Meta"""

from __future__ import annotations

from fhir_server.r4.instants import format_instant


def compose(
    resource_type: str, resource_id: str, version: int, last_updated: int, meta: bytes | None, body: bytes
) -> bytes:
    """The resource as JSON, ``resourceType``, ``id`` and ``meta`` first.

    ``last_updated`` is in microseconds since 1970 UTC; ``meta`` and ``body`` are JSON objects as PostgreSQL prints
    them: the
    client's meta without versionId and lastUpdated (or None), and the resource without resourceType, id and meta.
    """
    head = (
        f'{{"resourceType":"{resource_type}","id":"{resource_id}",'
        f'"meta":{{"versionId":"{version}","lastUpdated":"{format_instant(last_updated)}"'
    ).encode()
    if meta is not None and len(meta) > 2:
        head += b"," + meta[1:-1]
    if len(body) <= 2:
        return head + b"}}"
    return head + b"}," + body[1:]


def decompose(resource: dict[str, object]) -> tuple[dict[str, object] | None, dict[str, object]]:
    """What the store keeps of a resource: the client's meta (or None if nothing is left of it), and the body.

    The resource itself is not changed.
    """
    body = {k: v for k, v in resource.items() if k != "resourceType" and k != "id" and k != "meta"}
    meta = resource.get("meta")
    if isinstance(meta, dict):
        kept = {k: v for k, v in meta.items() if k not in SERVER_META}
        return kept or None, body
    return None, body


SERVER_META = ("versionId", "lastUpdated", "_versionId", "_lastUpdated")
"""The parts of meta that the server sets itself, whatever the client sent."""
