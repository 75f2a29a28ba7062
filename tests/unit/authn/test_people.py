"""Accounts, passwords, locks, sessions and settings, over a real database. docs/people.md"""

from __future__ import annotations

import time
import uuid

import pytest
from argon2 import PasswordHasher

from fhir_server.authn import clinic_settings
from fhir_server.authn.clinic_settings import ClinicSettings
from fhir_server.authn.passwords import Passwords, random_password, weakness
from fhir_server.authn.people import People, Person
from fhir_server.authn.sessions import Sessions
from fhir_server.authn.sign_in import SignIn
from fhir_server.crypto.sealing import Sealer
from fhir_server.errors import BadRequest, Conflict, NotFound
from fhir_server.store import sign_in_failures
from fhir_server.store.revocation_watch import Revocations
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant

QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
GOOD = "correct horse battery staple"
DEFAULT = ClinicSettings()
OTHER = 999_999_999
"""A clinic that is none of ours."""


@pytest.fixture
def people(app_database: Database) -> People:
    return People(app_database, QUICK)


@pytest.fixture
def sessions(app_database: Database) -> Sessions:
    return Sessions(app_database)


@pytest.fixture
def sign_in(app_database: Database, people: People) -> SignIn:
    return SignIn(app_database, people, QUICK, demo=True)


@pytest.fixture
def person(people: People, tenant: Tenant) -> Person:
    return people.create(tenant.id, username="Ada", roles=["staff"], password=GOOD)


def address() -> str:
    return uuid.uuid4().hex


def test_a_username_is_one_however_it_is_written(people: People, tenant: Tenant, person: Person) -> None:
    assert person.username == "ada"
    for written in ("ADA", " ada ", "\uff21da"):  # a full-width A
        found = people.by_username(tenant.id, written)
        assert found is not None
        assert found.id == person.id
        with pytest.raises(Conflict):
            people.create(tenant.id, username=written, roles=["staff"])


@pytest.mark.parametrize("username", ["", " ", "a b", "a\0b", "a" * 129])
def test_what_is_no_username(people: People, tenant: Tenant, username: str) -> None:
    with pytest.raises(BadRequest):
        people.create(tenant.id, username=username, roles=["staff"])


@pytest.mark.parametrize("roles", [[], ["system"], ["super_admin"], ["nurse"], ["staff", "super_admin"]])
def test_roles_are_those_of_a_clinic(people: People, tenant: Tenant, roles: list[str]) -> None:
    with pytest.raises(BadRequest):
        people.create(tenant.id, username="bob", roles=roles)


@pytest.mark.parametrize("roles", [["clinic_admin"], ["super_admin", "staff"], []])
def test_the_platforms_people_are_nothing_else(people: People, roles: list[str]) -> None:
    with pytest.raises(BadRequest):
        people.create(0, username=address(), roles=roles)
    assert people.create(0, username=address(), roles=["super_admin"]).roles == ("super_admin",)


@pytest.mark.parametrize("fhir_user", ["Observation/1", "Patient", "Patient/", "Patient/a/b", "Practitioner/a b"])
def test_who_somebody_is_in_fhir(people: People, tenant: Tenant, fhir_user: str) -> None:
    with pytest.raises(BadRequest):
        people.create(tenant.id, username="bob", roles=["patient"], fhir_user=fhir_user)


def test_people_of_another_clinic_are_not_found(people: People, tenant: Tenant, person: Person) -> None:
    assert people.find(OTHER, person.id) is None
    assert people.by_username(OTHER, "ada") is None
    with pytest.raises(NotFound):
        people.change(OTHER, person.id, disabled=True)


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"roles": ["billing"]}, {"fhir_user": "Practitioner/1"}], ids=lambda c: next(iter(c))
)
def test_what_was_issued_before_a_change_is_void(
    app_database: Database, people: People, tenant: Tenant, person: Person, change: dict[str, object]
) -> None:
    known = Revocations(app_database)
    before = int(time.time()) - 1
    assert not known.revoked("-", "", person.id, "-", before)
    people.change(tenant.id, person.id, **change)  # type: ignore[arg-type]
    known.forget()
    assert known.revoked("-", "", person.id, "-", before)


def test_another_password_ends_every_session(
    people: People, sessions: Sessions, tenant: Tenant, person: Person
) -> None:
    cookie = sessions.create(tenant.id, person.id, ("password",), "::1", "browser", DEFAULT)
    changed = people.set_password(tenant.id, person.id, "another good password of words")
    assert sessions.find(tenant.id, cookie, DEFAULT) is None
    assert QUICK.verify(changed.password, "another good password of words")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "12 characters"),
        ("a" * 257, "at most 256"),
        ("password1234", "too easy"),
        ("qwertyuiop[]", "too easy"),
        ("aaaaaaaaaaaa", "too easy"),
        ("letmeinletmein", "too easy"),
        ("riverside-1234", "clinic"),
        ("ada.lovelace.1", "your name"),
        ("correct horse \x07 staple", "control"),
    ],
)
def test_weak_passwords_are_told_why(password: str, why: str) -> None:
    assert why in weakness(password, "ada.lovelace", "riverside")


@pytest.mark.parametrize("password", [GOOD, "Lampe-Kuckuck-9-Vierzig", "x" * 4 + "Jkq9!vR2#mWz"])
def test_strong_passwords_are_taken(password: str) -> None:
    assert weakness(password, "ada", "riverside") == ""


def test_passwords_that_are_handed_out_are_strong() -> None:
    assert [weakness(random_password()) for _ in range(20)] == [""] * 20


def test_a_password_is_the_same_on_every_keyboard() -> None:
    assert QUICK.verify(QUICK.hash("cafe\u0301 au lait tous les jours"), "caf\u00e9 au lait tous les jours")


def test_nothing_is_the_password_of_nobody() -> None:
    assert not QUICK.verify("", "")
    assert not QUICK.verify("nonsense", "nonsense")
    assert not QUICK.verify(QUICK.hash("a"), "a" * 10_000_000)


def test_signing_in(sign_in: SignIn, tenant: Tenant, person: Person) -> None:
    outcome = sign_in.password(tenant.id, "ADA", GOOD, address())
    assert outcome.person is not None
    assert outcome.person.id == person.id
    assert sign_in.password(tenant.id, "ada", GOOD + "!", address()).person is None
    assert sign_in.password(OTHER, "ada", GOOD, address()).person is None


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("username", ["ada", "nobody"])
def test_a_lock_looks_the_same_for_names_that_nobody_has(sign_in: SignIn, tenant: Tenant, username: str) -> None:
    waits = [sign_in.password(tenant.id, username, "wrong", address()).wait_seconds for _ in range(6)]
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4] == 30
    assert 28 <= waits[5] <= 30, "not even looked at"
    assert sign_in.password(tenant.id, username, GOOD, address()).person is None


def test_a_lock_ends_and_the_next_is_twice_as_long(
    sign_in: SignIn, app_database: Database, tenant: Tenant, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.time_ns() // 1000]
    monkeypatch.setattr("fhir_server.authn.sign_in.now", lambda: clock[0])
    for _ in range(5):
        sign_in.password(tenant.id, "ada", "wrong", address())
    clock[0] += 31_000_000
    assert sign_in.password(tenant.id, "ada", "wrong", address()).wait_seconds == 60
    clock[0] += 61_000_000
    assert sign_in.password(tenant.id, "ada", GOOD, address()).person == person
    assert sign_in.password(tenant.id, "ada", "wrong", address()).wait_seconds == 0, "counted from nothing again"


def test_who_tries_many_names_from_one_place_waits(sign_in: SignIn, tenant: Tenant, person: Person) -> None:
    place = address()
    waits = [sign_in.password(tenant.id, f"name{n}", "wrong", place).wait_seconds for n in range(30)]
    assert waits[:29] == [0] * 29
    assert waits[29] == 30
    assert sign_in.password(tenant.id, "ada", GOOD, place).person is None
    assert sign_in.password(tenant.id, "ada", GOOD, address()).person == person


def test_waiting_grows_to_an_hour_at_most() -> None:
    assert [sign_in_failures.wait(n) for n in (0, 4, 5, 6, 11, 12, 10**9)] == [0, 0, 30, 60, 1920, 3600, 3600]


def test_who_is_shut_out_cannot_sign_in(sign_in: SignIn, people: People, tenant: Tenant, person: Person) -> None:
    people.change(tenant.id, person.id, disabled=True)
    assert sign_in.password(tenant.id, "ada", GOOD, address()).person is None


def test_demo_people_are_refused_in_production(
    app_database: Database, people: People, tenant: Tenant, person: Person
) -> None:
    clinic_settings.write(app_database, tenant.id, {"demo_people": [person.id]})
    production = SignIn(app_database, people, QUICK, demo=False)
    assert production.password(tenant.id, "ada", GOOD, address()).person is None
    assert SignIn(app_database, people, QUICK, demo=True).password(tenant.id, "ada", GOOD, address()).person == person


def test_a_session_ends_by_idling_and_by_age(
    sessions: Sessions, tenant: Tenant, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.time_ns() // 1000
    clock = [begun]
    monkeypatch.setattr("fhir_server.authn.sessions.now", lambda: clock[0])
    settings = ClinicSettings(session_idle_minutes=15, session_absolute_hours=1)
    idle = sessions.create(tenant.id, person.id, ("password",), "::1", "browser", settings)
    used = sessions.create(tenant.id, person.id, ("password",), "::1", "browser", settings)
    for minute in range(1, 60, 10):
        clock[0] = begun + minute * 60_000_000
        assert sessions.find(tenant.id, used, settings) is not None, minute
    assert sessions.find(tenant.id, idle, settings) is None
    assert len(sessions.listed(tenant.id, person.id, settings)) == 1
    clock[0] = begun + 60 * 60_000_000
    assert sessions.find(tenant.id, used, settings) is None


def test_another_step_of_signing_in_gives_another_cookie(sessions: Sessions, tenant: Tenant, person: Person) -> None:
    first = sessions.create(tenant.id, person.id, ("password",), "::1", "browser", DEFAULT)
    second = sessions.add_method(tenant.id, first, "totp")
    assert sessions.find(tenant.id, first, DEFAULT) is None
    session = sessions.find(tenant.id, second, DEFAULT)
    assert session is not None
    assert session.methods == ("password", "totp")
    assert sessions.add_method(tenant.id, first, "totp") == ""


def test_sessions_are_listed_and_ended(sessions: Sessions, tenant: Tenant, person: Person) -> None:
    cookies = [sessions.create(tenant.id, person.id, ("password",), "::1", f"b{n}", DEFAULT) for n in range(3)]
    listed = sessions.listed(tenant.id, person.id, DEFAULT)
    assert [one.user_agent for one in listed] == ["b2", "b1", "b0"]
    assert not sessions.revoke(tenant.id, "somebody else", listed[0].id)
    assert sessions.revoke(tenant.id, person.id, listed[0].id)
    assert sessions.find(tenant.id, cookies[2], DEFAULT) is None
    assert sessions.revoke_all(tenant.id, person.id, but=listed[1].id) == 1
    assert [sessions.find(tenant.id, cookie, DEFAULT) is not None for cookie in cookies] == [False, True, False]
    assert sessions.find(OTHER, cookies[1], DEFAULT) is None


def test_settings_are_checked_and_kept(app_database: Database, tenant: Tenant) -> None:
    assert clinic_settings.read(app_database, tenant.id) == ClinicSettings()
    taken = {"physician": ["patients:Observation:search", "*:Claim:*"]}
    with pytest.raises(BadRequest, match="Claim"):
        clinic_settings.write(app_database, tenant.id, {"narrowed": taken})
    changed = clinic_settings.write(
        app_database, tenant.id, {"registration": "open", "narrowed": {"physician": ["patients:Observation:search"]}}
    )
    assert changed.registration == "open"
    assert changed.narrowed == {"physician": ("patients:Observation:search",)}
    assert clinic_settings.write(app_database, tenant.id, {"registration": None, "narrowed": None}) == ClinicSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonsense", 1),
        ("registration", "sometimes"),
        ("second_factor", "yes"),
        ("session_idle_minutes", 0),
        ("session_idle_minutes", True),
        ("rate_limit", -1),
        ("style", {"color": "red"}),
        ("narrowed", {"nurse": []}),
        ("narrowed", {"physician": ["patients:*"]}),
        ("upstream", {"issuer": "https://id.example.org"}),
        ("upstream", {"issuer": "file:///etc", "client_id": "a", "client_secret": "b"}),
    ],
)
def test_settings_that_cannot_be(app_database: Database, tenant: Tenant, name: str, value: object) -> None:
    with pytest.raises(BadRequest):
        clinic_settings.write(app_database, tenant.id, {name: value})


def test_a_providers_secret_is_sealed(app_database: Database, tenant: Tenant) -> None:
    sealer = Sealer(bytes(range(32)))
    given = {"issuer": "https://id.example.org", "client_id": "clinic", "client_secret": "hush hush"}
    kept = clinic_settings.write(app_database, tenant.id, {"upstream": given}, sealer)
    assert "hush" not in str(kept)
    provider = kept.provider(sealer, tenant.id)
    assert provider is not None
    assert provider.client_secret == "hush hush"
    with pytest.raises(BadRequest, match="set it again"):
        kept.provider(sealer, OTHER)
