"""Opening an app with a patient's record: an EHR launch by hand.
https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from fhir_server.console import patients
from fhir_server.console.patients import Sought, sought
from fhir_server.console.visit import Visit
from fhir_server.smart import clients, launches
from fhir_server.store.oauth_clients import ACTIVE


@dataclass(frozen=True, slots=True)
class App:
    """An app that can be opened from here."""

    client_id: str
    name: str
    launch_uri: str


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/launcher. A patient's name or id is never part of the URL."""
    apps = _apps(visit)
    do = visit.value("do", 20)
    if not visit.posted or not apps or do == "other":
        return _search(visit, apps, Sought())
    chosen = visit.value("patient", 64)
    if not chosen:
        wanted = sought(visit)
        cursor = visit.value("page", 8000) if do == "more" else ""
        return _search(visit, apps, wanted, cursor, wanted.problems, searched=True)
    patient = patients.patient(visit, chosen)
    if patient is None:
        return _search(visit, apps, Sought(), "", [("", "There is no such patient among those that you may see.")])
    app = next((one for one in apps if one.client_id == visit.value("client", 200)), None)
    encounter = visit.value("encounter", 64)
    encounters = patients.encounters(visit, patient.id)
    if do != "launch" or app is None or (encounter and encounter not in {one.id for one in encounters}):
        return visit.render("launcher.html", apps=apps, patient=patient, encounters=encounters, client="", encounter="")
    return _launch(visit, app, patient.id, encounter)


def _apps(visit: Visit) -> list[App]:
    known = clients.listed(visit.services.database, visit.tenant.id)
    return [App(one.id, one.name, one.launch_uri) for one in known if one.state == ACTIVE and one.launch_uri]


def _search(
    visit: Visit,
    apps: list[App],
    wanted: Sought,
    cursor: str = "",
    problems: list[tuple[str, str]] | None = None,
    *,
    searched: bool = False,
) -> Response:
    found, onward = patients.found(visit, wanted, cursor) if apps and not problems else ([], "")
    return visit.render(
        "launcher.html",
        problems=problems or (),
        apps=apps,
        patient=None,
        sought=wanted,
        found=found,
        next=onward,
        searched=searched,
    )


def _launch(visit: Visit, app: App, patient: str, encounter: str) -> Response:
    context = launches.context(patient, encounter)
    handle = visit.services.smart.launches.begin(visit.tenant.id, visit.somebody.id, app.client_id, context)
    visit.record(
        "launch",
        client_id=app.client_id,
        resource_type="Patient",
        resource_id=patient,
        patient_ids=(patient,),
        detail={"encounter": encounter} if encounter else {},
    )
    return visit.leave(launches.address(app.launch_uri, visit.server.places, handle), f"Opening {app.name}")
