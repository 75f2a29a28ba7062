"""A clinic with the universe in it, and the access_tokens of those who attack it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from unittest.mock import patch

import psycopg

from fhir_server import validation
from fhir_server.app import FhirServer
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.attack.access.oracle import ATTACKERS, Attacker
from tests.attack.access.universe import Item, id_of
from tests.functional.conftest import Api

_numbers = count(1)


class Clinic:
    """A tenant that holds some of the universe's items."""

    def __init__(self, app: FhirServer, settings: Settings, database: DatabaseUrls, items: Iterable[Item]) -> None:
        assert database.owner is not None
        with psycopg.connect(database.owner, autocommit=True) as connection:
            self.tenant = tenants.create(connection, f"universe-{os.getpid()}-{next(_numbers)}")
        self.app = app
        self.settings = settings
        self.database = database
        self.items = tuple(items)
        self.admin = self.as_attacker(Attacker("admin", "system/*.cruds"))
        self._write()
        self._relate()

    @property
    def slug(self) -> str:
        """Its name in URLs."""
        return self.tenant.slug

    def another(self, items: Iterable[Item]) -> Clinic:
        """A tenant of the same server with other items."""
        return Clinic(self.app, self.settings, self.database, items)

    def rows(self) -> dict[str, int]:
        """The version of every resource that is stored, negative for a deleted one."""
        assert self.database.owner is not None
        with psycopg.connect(self.database.owner, autocommit=True) as connection:
            query = "SELECT id, CASE WHEN deleted THEN -version ELSE version END FROM resource WHERE tenant_id = %s"
            return dict(connection.execute(query, [self.tenant.id]).fetchall())

    def as_attacker(self, attacker: Attacker, lifetime: int = 7200, slug: str = "") -> Api:
        """The API of this clinic with an access_token of the attacker's, issued for this clinic or another one."""
        access_token = issue(
            keys.load_or_create(self.settings.key_file),
            issuer=self.settings.issuer,
            sub=attacker.subject,
            client_id="attack",
            tenant=slug or self.slug,
            scope=attacker.scope,
            lifetime=lifetime,
            roles=attacker.roles,
            fhir_user=attacker.fhir_user,
            patient=attacker.patient,
        )
        return Api(self.app, self.slug, access_token)

    def _write(self) -> None:
        # The universe's resources have every element, which no invariant lets all of them have.
        with patch.object(validation, "validate"):
            for item in self.items:
                # One after the other, so that two clinics have them in the same order.
                answer = self.admin.put(item.reference, item.body, Prefer="return=minimal")
                assert answer.status == 201, answer.data[:2000]

    def _relate(self) -> None:
        for attacker in ATTACKERS:
            for owner in attacker.represents if self.items else "":
                sent = {
                    "user": attacker.subject,
                    "kind": "matter",
                    "matter": "Docket 1",
                    "until": "2099-01-01",
                    "reason": "Docket",
                }
                parameters = [{"name": name, "valueString": value} for name, value in sent.items()]
                body = {"resourceType": "Parameters", "parameter": parameters}
                answer = self.admin.post(f"Patient/{id_of(owner, 'Patient')}/$assign", body)
                assert answer.status == 200, answer.data
