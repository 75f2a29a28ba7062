"""Two demo clinics with coherent invented patients, the same for the same day. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from fhir_server.demo.chart import transaction
from fhir_server.demo.clinic import CLINICS
from fhir_server.demo.directory import directory
from fhir_server.demo.record import write
from fhir_server.demo.roster import people

TENANTS = tuple(CLINICS)
"""The demo clinics by tenant name."""


def transaction_bundles(tenant: str, today: date) -> Iterator[dict[str, Any]]:
    """The clinic's own resources, then each patient's record, as transaction Bundles that put resources at fixed ids.

    `tenant` is one of TENANTS, else KeyError. Every date follows from `today`: nothing but appointments and due dates
    lies after it, and the same `today` gives the same Bundles. References lead to resources of the same Bundle or of
    the first. https://hl7.org/fhir/R4/http.html#transaction
    """
    clinic = CLINICS[tenant]
    yield transaction(tenant, directory(clinic, today))
    for person in people(clinic, today):
        yield write(clinic, person, today).bundle()
