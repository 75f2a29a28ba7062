"""Transaction Bundles of the product's own making, each loaded once. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhir_server.bulk import bundles
from fhir_server.bulk.batches import of_document
from fhir_server.bulk.session import STATEMENT_TIMEOUT_MS, Session
from fhir_server.bulk.work import Place, Settled
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Invalid, NotFound
from fhir_server.r4 import json
from fhir_server.settings import Settings
from fhir_server.store import directory
from fhir_server.store.session import Database

Load = Callable[[str, dict[str, Any]], None]


@contextmanager
def transaction_loader(settings: Settings, app_url: str) -> Iterator[Load]:
    """A function that commits a transaction Bundle for the tenant of a slug, unless this very one was committed before.

    It leaves the Bundle as it is. It raises NotFound for a tenant that does not exist, Invalid with every issue of a
    Bundle that is refused, Unavailable where the database cannot be reached.
    """
    database = Database(app_url, 1, STATEMENT_TIMEOUT_MS)
    database.open()
    try:
        hasher = Hasher(directory.hash_key(database))
        sessions: dict[str, Session] = {}

        def load(slug: str, bundle: dict[str, Any]) -> None:
            session = sessions.get(slug) or sessions.setdefault(
                slug, _session(settings, app_url, database, hasher, slug)
            )
            content = json.dumps(bundle)
            digest = of_document(content)
            source = bundles.Source(digest, Place(Path(slug)), json.parse(content), lambda: json.parse(content))
            outcome = bundles.load(session, source)
            failures = outcome.failures + outcome.waiting
            if failures:
                raise Invalid("the Bundle is refused", issues=[i for failure in failures for i in failure.issues])

        yield load
    finally:
        database.close()


def _session(settings: Settings, app_url: str, database: Database, hasher: Hasher, slug: str) -> Session:
    tenant_id = directory.tenant_id(database, slug)
    if tenant_id is None:
        raise NotFound(f"There is no tenant {slug}.")
    base_url = f"{settings.public_url}/t/{slug}/fhir"
    return Session(
        Settled(app_url, tenant_id, slug, base_url, settings.max_body_bytes, again=False, full_text=settings.full_text),
        database,
        hasher,
    )
