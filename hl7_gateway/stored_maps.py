"""ConceptMaps of a clinic as its feeds may read them. docs/hl7-overrides.md"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError, Unavailable
from fhir_server.interactions import search
from fhir_server.interactions.context import Context, Tenant
from fhir_server.store import directory
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from hl7_gateway.delivery.work import feed_principal
from hl7_gateway.feed import Feed
from hl7_gateway.overrides.concept_maps import Lookup, NotAMap, Stored, loaded, names_maps

_MOST: Final = 50
"""How many ConceptMaps of one URL are looked at: each is a version."""


def with_maps(feed: Feed, tenant: Tenant, store: Store) -> Feed:
    """A feed with what the ConceptMaps that it names say now; the same one where nothing has changed.

    Raises Unavailable.
    """
    mapping = loaded(feed.mapping, of_clinic(tenant, store, feed.name))
    return feed if mapping is feed.mapping else replace(feed, mapping=mapping)


def loader(database: Database, hasher: Hasher, *, full_text: bool = True) -> Callable[[Feed], Feed]:
    """`with_maps` for the feeds of every clinic. What it gives raises Unavailable."""

    def load(feed: Feed) -> Feed:
        if not names_maps(feed.mapping):
            return feed
        entry = directory.entry(database, feed.slug)
        tenant = Tenant(feed.tenant_id, feed.slug, entry.taken if entry is not None else ())
        return with_maps(feed, tenant, Store(database, hasher, feed.tenant_id, full_text=full_text))

    return load


def of_clinic(tenant: Tenant, store: Store, feed: str) -> Lookup:
    """Looks ConceptMaps up in a clinic, as far as a feed may."""
    ctx = Context(tenant, feed_principal(feed, tenant.slug), Access(()), store, "")

    def lookup(url: str) -> Sequence[Stored]:
        value = re.sub(r"([\\,$|])", r"\\\1", url)
        access = ctx.decide("search-type", "ConceptMap")
        if access.nothing:
            raise NotAMap("the feed may not read ConceptMaps of this clinic")
        try:
            found = search.matches(ctx.within(store, access), "ConceptMap", (("url", value),), _MOST)
        except Unavailable:
            raise
        except FhirError as error:
            raise NotAMap(f"it cannot be looked up ({error.issues[0].code})") from None
        return [Stored(one.id, one.version, one.body) for one in found]

    return lookup
