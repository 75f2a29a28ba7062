"""The feeds of one tenant: those that other tests have left are not looked at. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.feeds import Feeds


class OwnFeeds(Feeds):
    """Sees nobody else's."""

    def __init__(self, database: Database, tenant: Tenant, **options: Any) -> None:
        super().__init__(database, **options)
        self._tenant = tenant.id

    def _take(self, rows: Sequence[FeedRow]) -> None:
        super()._take([row for row in rows if row.tenant_id == self._tenant])
