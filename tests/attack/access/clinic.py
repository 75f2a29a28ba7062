"""A clinic with the universe in it, and the access_tokens of those who attack it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from unittest.mock import patch

import psycopg

from fhir_server import validation
from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings, keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.attack.access.oracle import ATTACKERS, Attacker
from tests.attack.access.universe import DELETED, Item, id_of
from tests.functional.conftest import Api

_numbers = count(1)


class Clinic:
    """A tenant that holds some of the universe's items."""

    def __init__(
        self,
        app: FhirServer,
        settings: Settings,
        database: DatabaseUrls,
        items: Iterable[Item],
        narrowed: dict[str, list[str]] | None = None,
    ) -> None:
        assert database.owner is not None
        with psycopg.connect(database.owner, autocommit=True) as connection:
            self.tenant = tenants.create(connection, f"universe-{os.getpid()}-{next(_numbers)}")
        if narrowed:
            clinic_settings.write(app.database, self.tenant.id, {"narrowed": narrowed})
        self.narrowed = narrowed
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
        return Clinic(self.app, self.settings, self.database, items, self.narrowed)

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
                for one in (item.earlier, item) if item.earlier else (item,):
                    answer = self.admin.put(item.reference, one.body, Prefer="return=minimal")
                    assert answer.status in (200, 201), answer.data[:2000]
                if item.variant == DELETED:
                    assert self.admin.delete(item.reference).status in (200, 204)
        # Of a tenant that the statistics do not know PostgreSQL expects one row, and joins accordingly.
        assert self.database.owner is not None
        with psycopg.connect(self.database.owner, autocommit=True) as connection:
            connection.execute("ANALYZE resource, idx_token, idx_reference, idx_string, care_relation, consent_rule")

    def _relate(self) -> None:
        if not self.items:
            return
        for attacker in ATTACKERS:
            for owner in attacker.represents:
                self._assign(owner, user=attacker.subject, kind="matter", matter="Docket 1", until="2099-01-01")
            for owner in attacker.assigned:
                self._assign(owner, person=attacker.fhir_user)
            for owner in attacker.treated:
                self._assign(owner, user=attacker.subject)
                self._send(owner, "$unassign", user=attacker.subject)

    def _assign(self, owner: str, **parameters: str) -> None:
        self._send(owner, "$assign", **parameters, reason="what an attack needs")

    def _send(self, owner: str, operation: str, **parameters: str) -> None:
        patient = id_of(owner, "Patient")
        if not any(item.id == patient for item in self.items):
            return
        sent = [{"name": name, "valueString": value} for name, value in parameters.items()]
        answer = self.admin.post(f"Patient/{patient}/{operation}", {"resourceType": "Parameters", "parameter": sent})
        assert answer.status == 200, answer.data
