"""One user of each role for a demo clinic, so that every role can be tried at once. docs/people.md"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_server.demo.clinic import CLINICS

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Account:
    """A user. ``fhir_user`` is who it is in the records, ``client`` the patient whom an attorney represents."""

    username: str
    name: str
    role: str
    fhir_user: str = ""
    client: str = ""


def accounts(tenant: str, bundles: Iterable[dict[str, Any]]) -> list[Account]:
    """The users of a demo clinic, chosen so that each sees something: of its own, of its patients, of its client.

    ``bundles`` are the clinic's transactions, as demo.transaction_bundles gives them.
    """
    clinic = CLINICS[tenant]
    practitioners: Counter[str] = Counter()
    requesters: Counter[str] = Counter()
    patients: dict[str, str] = {}
    litigant = ""
    for bundle in bundles:
        resources = [entry["resource"] for entry in bundle["entry"]]
        own = next((one for one in resources if one["resourceType"] == "Patient"), None)
        if own is None:
            continue
        name = own["name"][0]
        patients[own["id"]] = f"{' '.join(name['given'])} {name['family']}"
        practitioners.update(one["reference"] for one in own.get("generalPractitioner", ()))
        orders = [one for one in resources if one["resourceType"] == "ServiceRequest"]
        requesters.update({one["requester"]["reference"] for one in orders if "requester" in one})
        if not litigant and clinic.law_firm[0] in str(resources):
            litigant = own["id"]
    names = {f"Practitioner/{member.id}": member.name for member in clinic.staff}
    physician = practitioners.most_common(1)[0][0]
    referring = next(one for one, _ in requesters.most_common() if one != physician and one in names)
    patient = next(iter(patients))
    return [
        Account("clinic-admin", "Clinic administrator", "clinic_admin"),
        Account("executive", "Executive", "executive"),
        Account("physician", names[physician], "physician", physician),
        Account("staff", "Front desk", "staff"),
        Account("billing", "Billing office", "billing"),
        Account("attorney", clinic.law_firm[1], "attorney", client=litigant or patient),
        Account("referring-doctor", names[referring], "referring_doctor", referring),
        Account("patient", patients[patient], "patient", f"Patient/{patient}"),
    ]


def password(secret: bytes) -> str:
    """The password of every demo user of a server: the same at each start, another on each server."""
    digest = hmac.digest(secret, b"demo users", "sha256")
    letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:16]]
    return "-".join("".join(letters[start : start + 4]) for start in range(0, 16, 4))
