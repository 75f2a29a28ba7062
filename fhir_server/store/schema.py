"""All tables there are, those of each part in a file of its own. docs/architecture.md, "Rows" """

from __future__ import annotations

from fhir_server.store.audit_tables import AUDIT_TABLES
from fhir_server.store.care_tables import CARE_TABLES
from fhir_server.store.hl7_feed_tables import HL7_FEED_TABLES
from fhir_server.store.hl7_outbound_tables import HL7_OUTBOUND_TABLES
from fhir_server.store.hl7_tables import HL7_TABLES
from fhir_server.store.metadata import metadata
from fhir_server.store.oauth_tables import OAUTH_TABLES
from fhir_server.store.people_tables import PEOPLE_TABLES
from fhir_server.store.tables import RESOURCE_TABLES

__all__ = ["TENANT_TABLES", "metadata"]

TENANT_TABLES = (
    *RESOURCE_TABLES,
    *CARE_TABLES,
    *AUDIT_TABLES,
    *PEOPLE_TABLES,
    *OAUTH_TABLES,
    *HL7_TABLES,
    *HL7_FEED_TABLES,
    *HL7_OUTBOUND_TABLES,
)
"""The tables that hold a tenant's data: each has row level security, forced."""
