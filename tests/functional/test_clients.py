"""A tour as a new user takes it, with clients that nobody here wrote, over real sockets."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.functional.running import Demo

CLIENTS = Path(__file__).with_name("clients")


@pytest.fixture(scope="module")
def access_token(demo: Demo) -> str:
    return demo.command("access-token", "--tenant", "riverside")


def test_fhirpy(demo: Demo, access_token: str) -> None:
    client = SyncFHIRClient(demo.base_url, authorization=f"Bearer {access_token}")
    assert client.resources("Patient").search(family="López").fetch_all()[0]["id"] == "p001"

    patient = client.resource("Patient", name=[{"family": "Tour", "given": ["Py"]}], birthDate="1990-04-01")
    patient.save()
    assert patient["meta"]["versionId"] == "1"
    patient["active"] = True
    patient.save()
    again = client.reference("Patient", patient["id"]).to_resource()
    assert (again["active"], again["meta"]["versionId"]) == (True, "2")

    everyone = client.resources("Patient").search(_total="accurate").limit(11)
    listed = everyone.fetch_all()
    assert len({p["id"] for p in listed}) == len(listed) == everyone.fetch_raw()["total"] >= 61

    hba1c = client.resources("Observation").search(patient="p001", code="http://loinc.org|4548-4").fetch_all()
    assert len(hba1c) >= 3
    newest = client.resources("Observation").search(patient="p001", date__ge="2000-01-01").limit(5).fetch()
    assert len(newest) == 5

    # fhirpy's own words for chains, reverse chains, sorting and includes.
    of_lopez = (
        client.resources("Observation").search(patient__Patient__family="López").sort("-date").limit(7).fetch_all()
    )
    dates = [one["effectiveDateTime"] for one in of_lopez if "effectiveDateTime" in one]
    assert len(of_lopez) > 7
    assert dates == sorted(dates, reverse=True)
    with_hba1c = client.resources("Patient").has("Observation", "patient", code="http://loinc.org|4548-4").fetch_all()
    assert "p001" in {one["id"] for one in with_hba1c}
    raw = client.resources("Observation").search(patient="p001").include("Observation", "subject").limit(3).fetch_raw()
    assert {entry.search.mode for entry in raw.entry} == {"match", "include"}
    back = client.resources("Patient").search(_id="p001").revinclude("Encounter", "subject").fetch_raw()
    assert {entry.resource.resource_type for entry in back.entry} == {"Patient", "Encounter"}

    found, created = client.resources("Patient").search(_id=patient["id"]).update(patient)
    assert (found["id"], created) == (patient["id"], False)
    assert found["meta"]["versionId"] == "3"

    with pytest.raises(OperationOutcome, match="nonsense"):
        client.resources("Patient").search(nonsense="1").fetch()
    patient.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        client.reference("Patient", patient["id"]).to_resource()


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js and npm are not installed here")
def test_fhir_kit_client(demo: Demo, access_token: str, tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc", "tour.mjs"):
        shutil.copy(CLIENTS / name, tmp_path)
    installed = subprocess.run(
        ["npm", "ci", "--silent"], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
    )
    if installed.returncode != 0:
        pytest.skip("the packages of the client cannot be installed here")
    toured = subprocess.run(
        ["node", "tour.mjs", demo.base_url, access_token],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert toured.returncode == 0, toured.stderr
    assert "the tour is complete" in toured.stdout
