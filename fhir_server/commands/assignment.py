"""`fhir-server assignment`: who cares for a patient, or represents one in a matter, because the clinic says so.
docs/care.md, "Assignments" """

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import click

from fhir_server.authn import passwords
from fhir_server.authn.people import People
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError
from fhir_server.interactions.assigning import KINDS, assignment_of, check_there
from fhir_server.r4 import instants
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import care, directory
from fhir_server.store.care import Assignment
from fhir_server.store.session import Database
from fhir_server.store.store import Store

OPERATOR = "the operator"


@click.group(name="assignment", epilog=example("fhir-server assignment list --tenant riverside"))
def command() -> None:
    """Assign people to patients, list the assignments, end them."""


@command.command(
    epilog=example(
        "fhir-server assignment create --tenant riverside --user Practitioner/7 --patient p1"
        ' --until 2027-01-31 --reason "Locum in January"'
    )
)
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option(
    "--user", required=True, metavar="U", help="A username, an account's id, or a reference such as Practitioner/7."
)
@click.option("--patient", required=True, metavar="P", help="The id of the Patient.")
@click.option("--kind", type=click.Choice(list(KINDS)), default="assignment", help="assignment unless given.")
@click.option("--matter", default="", help="The name or number of the matter, for --kind matter.")
@click.option("--from", "start", default="", metavar="DATE", help="The first day; else it holds at once.")
@click.option("--until", required=True, metavar="DATE", help="The last day.")
@click.option("--reason", required=True, help="Why; it is kept.")
def create(slug: str, user: str, patient: str, kind: str, matter: str, start: str, until: str, reason: str) -> None:
    """Assign U to the patient P; prints the number of the assignment."""
    given = {"kind": kind, "until": until, "reason": reason}
    given |= ({"matter": matter} if matter else {}) | ({"from": start} if start else {})
    with _opened(slug) as store:
        person = _person(store, user)
        given |= {"user": person.removeprefix("User/")} if person.startswith("User/") else {"person": person}
        one = assignment_of(patient, given, OPERATOR)
        check_there(store, "Patient", patient)
        resource_type, _, resource_id = one.person.partition("/")
        if resource_type != "User":
            check_there(store, resource_type, resource_id)
        click.echo(str(store.within(lambda c: care.assign(c, store.tenant_id, store.hasher, one))))


@command.command(name="list", epilog=example("fhir-server assignment list --tenant riverside --patient p1"))
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option("--patient", default="", metavar="P", help="Those of one patient alone.")
@click.option("--user", default="", metavar="U", help="Those of one person alone, as for create.")
def list_(slug: str, patient: str, user: str) -> None:
    """List assignments, the newest first, with tabs: number, state, who, patient, kind, from, until, matter, reason."""
    with _opened(slug) as store:
        person = _person(store, user) if user else ""
        found = store.within(
            lambda c: care.assignments(c, store.tenant_id, store.hasher, patient_id=patient, person=person)
        )
    for one in found:
        times = (_shown(one.low), _shown(one.high))
        words = (str(one.id), _state(one), one.person, one.patient_id, _kind(one), *times, one.matter, one.reason)
        click.echo("\t".join(" ".join(word.split()) for word in words))


@command.command(epilog=example("fhir-server assignment revoke --tenant riverside --patient p1 12"))
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option("--patient", required=True, metavar="P", help="The patient whose assignment it is.")
@click.argument("number", type=click.IntRange(1, 1 << 62))
def revoke(slug: str, patient: str, number: int) -> None:
    """End the assignment NUMBER at once."""
    with _opened(slug) as store:
        ended = store.within(lambda c: care.revoke(c, store.tenant_id, store.hasher, number, patient, OPERATOR))
    if not ended:
        raise ConfigurationError(f"The patient {patient!r} has no assignment {number} that is not revoked.")


@contextlib.contextmanager
def _opened(slug: str) -> Iterator[Store]:
    """The tenant's store. Raises ConfigurationError for whatever the operator can change."""
    with database(Settings.from_env()) as urls:
        pool = Database(urls.app, 1)
        pool.open()
        try:
            tenant_id = directory.tenant_id(pool, slug)
            if tenant_id is None:
                raise ConfigurationError(f"There is no tenant {slug!r}; `fhir-server tenant list` shows them.")
            yield Store(pool, Hasher(directory.hash_key(pool)), tenant_id)
        except FhirError as error:
            raise ConfigurationError(error.issues[0].diagnostics) from None
        finally:
            pool.close()


def _person(store: Store, user: str) -> str:
    """The person as relations name them. Raises ConfigurationError for a username that nobody has."""
    if "/" in user:
        return user
    try:
        return f"User/{uuid.UUID(user)}"
    except ValueError:
        found = People(store.database, passwords.standard()).by_username(store.tenant_id, user)
    if found is None:
        raise ConfigurationError(
            f"--user {user!r} is no username, no account's id and no reference such as Practitioner/7."
        )
    return f"User/{found.id}"


def _kind(one: Assignment) -> str:
    return next(name for name, number in KINDS.items() if number == one.kind)


def _state(one: Assignment) -> str:
    return "revoked" if one.revoked is not None else "set"


def _shown(us: int) -> str:
    """A moment; "-" for an end that is open."""
    if us in (instants.MIN, instants.MAX):
        return "-"
    try:
        return instants.format_instant(us)
    except OverflowError:
        return "-"
