"""EHR launches: an app is opened by somebody of the clinic, with a patient. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fhir_server.audit.event import now
from fhir_server.smart import secrets
from fhir_server.smart.places import Places
from fhir_server.store import oauth_requests
from fhir_server.store.oauth_requests import Launch
from fhir_server.store.session import Database

MINUTES = 10
"""How long an app may take to come back with its launch."""


class Launches:
    """The launches that apps have not come back with yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, tenant_id: int, person_id: str, client_id: str, context: dict[str, Any]) -> str:
        """Begin a launch; the answer is its ``launch`` value. ``context`` is told to the app. Raises Unavailable."""
        handle, at = secrets.new(), now()
        launch = Launch(person_id, client_id, context)
        self._database.transaction(
            tenant_id,
            lambda c: oauth_requests.keep_launch(
                c, tenant_id, secrets.digest(handle), launch, at, at + MINUTES * 60_000_000
            ),
        )
        return handle

    def find(self, tenant_id: int, handle: str) -> Launch | None:
        """The launch of a handle; None where it is used up, has expired or never was. Raises Unavailable."""
        if not handle or len(handle) > 64:
            return None
        return self._database.transaction(
            tenant_id, lambda c: oauth_requests.launch(c, tenant_id, secrets.digest(handle), now())
        )


def context(patient: str = "", encounter: str = "", *, banner: bool = True, intent: str = "") -> dict[str, Any]:
    """The launch context that an app is told: ids of a Patient and an Encounter, "" for none.

    ``banner`` says that the app has to show whose data it shows.
    https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#launch-context-arrives-with-your-access_token
    """
    values: dict[str, Any] = {"need_patient_banner": banner}
    values |= {
        name: value for name, value in (("patient", patient), ("encounter", encounter), ("intent", intent)) if value
    }
    return values


def address(launch_uri: str, places: Places, handle: str) -> str:
    """Where the browser opens the app: its launch address with ``iss`` and ``launch``."""
    joint = "&" if "?" in launch_uri else "?"
    return f"{launch_uri}{joint}{urlencode({'iss': places.base, 'launch': handle})}"
