"""The cursor of a search: whom it is for, and how a later page asks with it. https://hl7.org/fhir/R4/http.html#paging"""

from __future__ import annotations

from functools import lru_cache

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.interactions.context import Context
from fhir_server.interactions.search_bundle import Pairs
from fhir_server.search.cursor import Binding, CursorSealer


def binding_of(ctx: Context, path: str) -> Binding:
    """What the cursors of searches at ``path`` are bound to: tenant, path and caller."""
    return Binding(ctx.tenant.id, path, f"{ctx.principal.client_id}\0{ctx.principal.subject}")


@lru_cache(maxsize=8)
def sealer_of(hasher: Hasher) -> CursorSealer:
    """What seals and opens the cursors of a deployment's searches."""
    return CursorSealer.from_hasher(hasher)


def sealed_cursor(pairs: Pairs) -> str:
    """The cursor, if the request is for a later page; it brings every parameter but those of the answer's format."""
    sealed = [value for name, value in pairs if name == "_cursor"]
    if not sealed:
        return ""
    others = sorted({name for name, _ in pairs} - {"_cursor", "_format", "_pretty"})
    if others or len(sealed) > 1:
        raise BadRequest(
            "A _cursor stands alone: follow the next link as it was given. To change "
            f"{' or '.join(others)[:80] or 'the page'}, run the search again from its first page."
        )
    return sealed[0]
