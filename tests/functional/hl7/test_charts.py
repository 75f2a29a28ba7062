"""The chart of a patient who was merged, as a client reads it over REST. docs/hl7.md, "Delivery" """

from __future__ import annotations

from collections.abc import Callable

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward


def result(control_id: str, patient: str, order: str) -> bytes:
    rest = (
        f"OBR|1||{order}^LAB|24317-0^Hemogram^LN|||20260101070000||||||||||||||||||F\r"
        "OBX|1|NM|718-7^Hemoglobin^LN|1|13.1|g/dL|||||F\r"
    )
    return message(control_id, "R01", patient, rest=rest).replace(b"ADT^R01", b"ORU^R01")


def found(api: Api, query: str) -> list[str]:
    """The ids of what a search finds."""
    return sorted(entry["resource"]["id"] for entry in api.get(query).json.get("entry", ()))


def test_both_halves_of_a_merged_chart_are_found(
    app_database: Database, tenant: Tenant, new_api: Callable[..., Api]
) -> None:
    ward, api = Ward(app_database, tenant), new_api(slug=tenant.slug)
    merged = message("3", "A40", "new", rest="MRG|old^^^HOSP^MR\r")
    ward.keep(result("1", "old", "R1"), result("2", "new", "R2"), merged, result("4", "old", "R3"))
    assert ward.work() == 4
    assert {one.state for one in ward.found()} == {"stored"}
    (old,) = found(api, "Patient?active=false")
    (new,) = found(api, "Patient?active=true")
    links = {name: api.get(f"Patient/{name}").json["link"] for name in (old, new)}
    assert [(one["type"], one["other"]["reference"]) for one in links[old]] == [("replaced-by", f"Patient/{new}")]
    assert [(one["type"], one["other"]["reference"]) for one in links[new]] == [("replaces", f"Patient/{old}")]
    # What came before stays where it was; what comes after, under either number, is of whoever lives on.
    before, since = found(api, f"Observation?patient=Patient/{old}"), found(api, f"Observation?patient=Patient/{new}")
    assert (len(before), len(since)) == (1, 2)
    both = f"patient=Patient/{new},Patient/{old}"
    assert found(api, f"Observation?{both}") == sorted(before + since)
    assert len(found(api, f"DiagnosticReport?{both}")) == 3
    chart = {
        entry["resource"]["id"] for name in (old, new) for entry in api.get(f"Patient/{name}/$everything").json["entry"]
    }
    assert chart >= {old, new, *before, *since}
