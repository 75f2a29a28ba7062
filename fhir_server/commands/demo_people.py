"""The users of the demo clinics: made once, and shown at each start. docs/people.md"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from fhir_server.access import relations
from fhir_server.authn import clinic_settings, keys, passwords
from fhir_server.authn.people import People
from fhir_server.crypto.hashing import Hasher
from fhir_server.demo import TENANTS, transaction_bundles
from fhir_server.demo.accounts import Account, accounts, password
from fhir_server.settings import Settings
from fhir_server.store import care, directory
from fhir_server.store.care import Assignment
from fhir_server.store.session import Database

STEP = "demo people"
_YEAR = 365 * 86_400_000_000


def demo_password(settings: Settings) -> str:
    """The password of every demo user."""
    return password(keys.sealing_secrets(settings.sealing_keys)[0])


def seed(settings: Settings, app_url: str, report: Callable[[str], None]) -> None:
    """Give each demo clinic that is there one user of each role, open registration, and no need of a second factor."""
    database = Database(app_url, 1)
    database.open()
    try:
        hasher = Hasher(directory.hash_key(database))
        today = datetime.now(UTC).date()
        for slug in TENANTS:
            tenant_id = directory.tenant_id(database, slug)
            if tenant_id is None:
                continue
            wanted = accounts(slug, transaction_bundles(slug, today))
            _seed_clinic(database, hasher, tenant_id, wanted, demo_password(settings))
            report(f"Demo clinic {slug}: {len(wanted)} users, one of each role")
    finally:
        database.close()


def _seed_clinic(database: Database, hasher: Hasher, tenant_id: int, wanted: list[Account], given: str) -> None:
    people, made = People(database, passwords.standard()), []
    for one in wanted:
        # A start that was cut short has made some of them.
        known = people.by_username(tenant_id, one.username)
        person = known or people.create(
            tenant_id, username=one.username, name=one.name, roles=[one.role], fhir_user=one.fhir_user, password=given
        )
        made.append(person.id)
        if one.client and known is None:
            now = time.time_ns() // 1000
            matter = Assignment(
                f"User/{person.id}", one.client, relations.MATTER, now, now + _YEAR, "Demo matter", "Demo", "demo"
            )
            database.transaction(
                tenant_id,
                lambda c, matter=matter: care.assign(c, tenant_id, hasher, matter),  # type: ignore[misc]
            )
    clinic_settings.write(database, tenant_id, {"registration": "open", "second_factor": False, "demo_people": made})
