"""Authenticator apps and recovery codes, over a real database. docs/second-factors.md"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from fhir_server.authn.clinic_settings import ClinicSettings
from fhir_server.authn.people import People, Person
from fhir_server.authn.recovery_codes import RecoveryCodes
from fhir_server.authn.second_factors import SecondFactors, needed
from fhir_server.authn.totp import Totp
from fhir_server.crypto.sealing import Sealer
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.unit.authn.test_people import QUICK

SEALER = Sealer(bytes(range(32)))
OTHER = 999_999_999


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def totp(app_database: Database, clock: Clock) -> Totp:
    return Totp(app_database, SEALER, clock)


@pytest.fixture
def person(app_database: Database, tenant: Tenant) -> Person:
    return People(app_database, QUICK).create(tenant.id, username="ada", roles=["staff"])


@pytest.fixture
def factors(app_database: Database) -> SecondFactors:
    return SecondFactors(app_database)


@pytest.fixture
def app(totp: Totp, tenant: Tenant, person: Person, clock: Clock) -> pyotp.TOTP:
    """An authenticator app that was confirmed, two steps ago."""
    begun = totp.begin(tenant.id, person, "Clinic")
    made = pyotp.TOTP(begun.secret)
    assert totp.confirm(tenant.id, person.id, begun.factor_id, made.at(int(clock.now)))
    clock.now += 60
    return made


def test_an_app_is_told_what_it_needs(totp: Totp, tenant: Tenant, person: Person) -> None:
    begun = totp.begin(tenant.id, person, "Riverside: Clinic")
    query = parse_qs(urlsplit(begun.uri).query)
    assert begun.uri.startswith("otpauth://totp/")
    assert query["secret"] == [begun.secret]
    assert len(begun.secret) == 32
    assert totp.begun(tenant.id, person, "Riverside: Clinic") == begun


def test_nothing_is_a_factor_before_it_is_confirmed(
    totp: Totp, factors: SecondFactors, tenant: Tenant, person: Person, clock: Clock
) -> None:
    begun = totp.begin(tenant.id, person, "Clinic")
    code = pyotp.TOTP(begun.secret).at(int(clock.now))
    assert factors.enrolled(tenant.id, person.id) == ()
    assert not totp.verify(tenant.id, person.id, code)
    assert not totp.confirm(tenant.id, person.id, "another", code)
    assert not totp.confirm(tenant.id, person.id, begun.factor_id, "000000")
    assert totp.confirm(tenant.id, person.id, begun.factor_id, code)
    (one,) = factors.enrolled(tenant.id, person.id)
    assert (one.id, one.kind) == (begun.factor_id, "totp")
    assert totp.begun(tenant.id, person, "Clinic") is None


def test_a_code_works_once(totp: Totp, tenant: Tenant, person: Person, app: pyotp.TOTP, clock: Clock) -> None:
    code = app.at(int(clock.now))
    assert totp.verify(tenant.id, person.id, f" {code[:3]} {code[3:]} ")
    assert not totp.verify(tenant.id, person.id, code)
    assert not totp.verify(tenant.id, person.id, app.at(int(clock.now) - 30)), "an older code after a newer one"
    assert totp.verify(tenant.id, person.id, app.at(int(clock.now) + 30))


def test_of_two_at_once_one_succeeds(totp: Totp, tenant: Tenant, person: Person, app: pyotp.TOTP, clock: Clock) -> None:
    code = app.at(int(clock.now))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: totp.verify(tenant.id, person.id, code), range(8)))
    assert sum(results) == 1


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(
    totp: Totp, tenant: Tenant, person: Person, app: pyotp.TOTP, clock: Clock, steps: int, good: bool
) -> None:
    clock.now += 300
    assert totp.verify(tenant.id, person.id, app.at(int(clock.now) + 30 * steps)) is good


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "1" * 10_000]
)
@pytest.mark.usefixtures("app")
def test_what_is_no_code(totp: Totp, tenant: Tenant, person: Person, code: str) -> None:
    assert not totp.verify(tenant.id, person.id, code)


def test_another_clinic_and_a_lost_key_know_nothing(
    app_database: Database, totp: Totp, tenant: Tenant, person: Person, app: pyotp.TOTP, clock: Clock
) -> None:
    code = app.at(int(clock.now))
    assert not totp.verify(OTHER, person.id, code)
    assert not Totp(app_database, Sealer(bytes(32)), clock).verify(tenant.id, person.id, code)
    assert totp.verify(tenant.id, person.id, code)


@pytest.mark.usefixtures("app")
def test_recovery_codes_work_once_however_they_are_typed(
    app_database: Database, factors: SecondFactors, tenant: Tenant, person: Person
) -> None:
    codes = RecoveryCodes(app_database)
    given = codes.renew(tenant.id, person.id)
    assert len(set(given)) == 10
    assert codes.left(tenant.id, person.id) == 10
    assert len(factors.enrolled(tenant.id, person.id)) == 1, "they are not listed"
    assert not codes.use(OTHER, person.id, given[0])
    assert not codes.use(tenant.id, "somebody else", given[0])
    assert codes.use(
        tenant.id, person.id, f" {given[0].upper().replace('-', ' ').replace('0', 'O').replace('1', 'l')} "
    )
    assert not codes.use(tenant.id, person.id, given[0])
    assert codes.left(tenant.id, person.id) == 9
    assert not codes.use(tenant.id, person.id, "")
    renewed = codes.renew(tenant.id, person.id)
    assert not codes.use(tenant.id, person.id, given[1])
    assert codes.use(tenant.id, person.id, renewed[1])


def test_with_the_last_factor_go_the_codes(
    app_database: Database, factors: SecondFactors, tenant: Tenant, person: Person, app: pyotp.TOTP
) -> None:
    codes = RecoveryCodes(app_database)
    codes.renew(tenant.id, person.id)
    (one,) = factors.enrolled(tenant.id, person.id)
    assert not factors.remove(OTHER, person.id, one.id)
    assert not factors.remove(tenant.id, person.id, "")
    assert factors.remove(tenant.id, person.id, one.id)
    assert factors.enrolled(tenant.id, person.id) == ()
    assert codes.left(tenant.id, person.id) == 0


def test_failures_of_all_kinds_make_wait(factors: SecondFactors, tenant: Tenant, person: Person) -> None:
    assert [factors.failed(tenant.id, person.id) for _ in range(5)] == [0, 0, 0, 0, 30]
    assert 28 <= factors.wait(tenant.id, person.id) <= 30
    factors.succeeded(tenant.id, person.id)
    assert factors.wait(tenant.id, person.id) == 0


@pytest.mark.parametrize(
    ("roles", "asked", "expected"),
    [
        (("staff",), True, True),
        (("staff",), False, False),
        (("patient",), True, False),
        (("patient", "physician"), True, True),
    ],
)
def test_who_needs_one(roles: tuple[str, ...], asked: bool, expected: bool) -> None:
    person = Person("p", 1, "ada", "Ada", roles)
    assert needed(person, ClinicSettings(second_factor=asked)) is expected


def test_the_platforms_people_always_need_one() -> None:
    assert needed(Person("p", 0, "ada", "Ada", ("super_admin",)), ClinicSettings(second_factor=False))
