"""The matches of a search as a subquery of rids, for statements that are built around it. docs/search.md"""

from __future__ import annotations

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.search.compile import COUNT_PASSES, passed, together
from fhir_server.search.query import SearchQuery
from fhir_server.search.sql import SqlParameters


def matches(
    query: SearchQuery, access: Access, tenant_id: int, hasher: Hasher, joined: Access | None = None
) -> tuple[str, SqlParameters]:
    """A SELECT of the ``rid`` of each match that the access reaches, and the values that it is bound to so far.

    ``joined`` says what may be seen of the types that chains pass through. "" where nothing may be seen. Raises
    BadRequest for values that cannot be searched.
    """
    frame = passed(COUNT_PASSES, query, access, tenant_id, hasher, joined)
    return f" {together(frame.branches)} ".join(f"({one.matches()})" for one in frame.branches), frame.compiler.sql
