"""What a system has said itself does not go back to it; others are told. docs/hl7-outbound.md"""

from __future__ import annotations

from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.store import hl7_feeds
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.hl7.outbound import System, Told, until
from tests.functional.hl7.ward import Ward, visit


def test_a_message_goes_on_to_others_and_not_back(app_database: Database, tenant: Tenant, system: System) -> None:
    ward, told, source = Ward(app_database, tenant), Told(app_database, Clinic(tenant.id, tenant.slug)), System()
    (feed,) = app_database.transaction(tenant.id, lambda c: hl7_feeds.listed(c, tenant.id))
    source.up()
    try:
        told.add(source, "lab", feed=feed.id)
        told.add(system, "his")
        ward.keep(visit("1", "A01", "123"), visit("2", "A03", "123"), visit("3", "A01", "456"))
        assert ward.work() == 3
        with told.sending():
            until(lambda: told.states("his") and "waiting" not in told.states("his"))
    finally:
        source.close()
    assert told.states("lab") == []
    assert source.raw == []
    assert sorted(system.events()) == ["A01", "A01", "A03", "A28", "A28"]
    known = {(one.event, one.all("PID")[0].text(3)) for one in system.received}
    assert known == {("A28", "123"), ("A01", "123"), ("A03", "123"), ("A28", "456"), ("A01", "456")}
