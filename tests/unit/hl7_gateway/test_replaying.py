"""What a dead letter would change, without anything of it staying. docs/hl7.md, "Dead letters" """

from __future__ import annotations

from fhir_server.interactions.context import Tenant as Named
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.deliver import Desk
from hl7_gateway.replaying import Preview, preview
from tests.functional.hl7.gateway import hasher, message
from tests.functional.hl7.ward import Ward


def asked(ward: Ward, database: Database, raw: bytes) -> Preview:
    (feed,) = [one for one in ward.feeds.all if one.tenant_id == ward.tenant.id]
    tenant = ward.tenant
    desk = Desk(Named(tenant.id, tenant.slug), f"http://localhost/t/{tenant.slug}/fhir")
    return preview(Store(database, hasher(database), tenant.id), desk, feed, 0, raw)


def test_one_connection_is_enough(database: DatabaseUrls, app_database: Database, tenant: Tenant) -> None:
    """Or as many previews at once as there are connections would wait for each other."""
    ward = Ward(app_database, tenant, port=1, facility="HOSP")
    ward.keep(message("1"))
    ward.work()
    before = ward.rows("SELECT count(*), sum(version) FROM resource")
    one = Database(database.app, 1)
    one.open()
    try:
        found = asked(ward, one, message("2", "A08").replace(b"|F\r", b"|M\r"))
        new = asked(ward, one, message("3", "A01", "999"))
    finally:
        one.close()
    ((name, (gone, come)),) = [(name, lines) for name, lines in found.changed.items() if name.startswith("Patient/")]
    assert (gone, come) == (['gender = "female"'], ['gender = "male"'])
    assert name not in found.created
    assert any(one.startswith("Patient/") for one in new.created)
    assert ward.rows("SELECT count(*), sum(version) FROM resource") == before
    assert [one.control_id for one in ward.found()] == ["1"]
