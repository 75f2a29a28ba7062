"""Reading the text of a reference. https://hl7.org/fhir/R4/references.html#literal"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from fhir_server.r4 import definitions

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
"""The form of a logical id, for fullmatch. https://hl7.org/fhir/R4/datatypes.html#id"""


class Reference(NamedTuple):
    """A reference taken apart.

    ``kind`` is "relative" (Type/id), "absolute" (base/Type/id), "fragment" (#id: contained), "urn" (urn:uuid:,
    urn:oid:), "conditional" (Type?query, only in transactions) or "uri" (anything else: a canonical, another name).
    ``base`` of an absolute reference ends without a slash; of the other kinds it is "". ``type``, ``id`` and
    ``version`` are "" where the text has none; the ``id`` of a fragment is the contained resource's id ("" for the
    container), that of a urn what follows its last colon, that of a conditional reference the query.
    """

    kind: str
    base: str = ""
    type: str = ""
    id: str = ""
    version: str = ""


@lru_cache(maxsize=1)
def _types() -> frozenset[str]:
    return frozenset(definitions.load().type_ids)


def parse(reference: str) -> Reference:
    """Take the text of Reference.reference (or a uri in its place) apart; every text has a kind, so nothing is raised.

    https://hl7.org/fhir/R4/references.html#literal
    """
    resource_type, slash, rest = reference.partition("/")
    if slash and resource_type in _types():
        if ID.fullmatch(rest):
            return Reference("relative", "", resource_type, rest)
        parts = rest.split("/")
        if len(parts) == 3 and parts[1] == "_history" and ID.fullmatch(parts[0]) and ID.fullmatch(parts[2]):
            return Reference("relative", "", resource_type, parts[0], parts[2])
        return Reference("uri")
    if reference.startswith("#"):
        return Reference("fragment", id=reference[1:])
    if reference.startswith(("urn:uuid:", "urn:oid:")):
        return Reference("urn", id=reference.rpartition(":")[2])
    if reference.startswith(("http://", "https://")):
        return _absolute(reference)
    name, question, query = reference.partition("?")
    if question and name in _types():
        return Reference("conditional", "", name, query)
    return Reference("uri")


def _absolute(reference: str) -> Reference:
    parts = reference.split("/")
    version = ""
    if len(parts) > 6 and parts[-2] == "_history" and ID.fullmatch(parts[-1]):
        version = parts[-1]
        parts = parts[:-2]
    if len(parts) >= 5 and parts[-2] in _types() and ID.fullmatch(parts[-1]):
        return Reference("absolute", "/".join(parts[:-2]), parts[-2], parts[-1], version)
    return Reference("uri")


def target(reference: str) -> str:
    """What a reference points at, without a version, as the search index hashes it; "" for a contained resource.

    ``Patient/1/_history/2`` is ``Patient/1``; absolute references, urns and other URIs stand for themselves.
    """
    if reference.startswith("#"):
        return ""
    if "/_history/" in reference:
        found = parse(reference)
        if found.version:
            path = f"{found.type}/{found.id}"
            return f"{found.base}/{path}" if found.base else path
    return reference


def named_type(reference: str) -> str:
    """The resource type that the text of a reference names, or "". https://hl7.org/fhir/R4/references.html#literal"""
    resource_type, slash, _ = reference.partition("/")
    if slash and resource_type in _types():
        return resource_type
    return parse(reference).type if reference.startswith("http") else ""
