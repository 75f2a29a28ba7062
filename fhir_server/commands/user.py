"""`fhir-server user`: who may sign in at a clinic. docs/people.md"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fhir_server.access.roles import ROLES
from fhir_server.authn import passwords
from fhir_server.authn.people import PLATFORM_ROLE, Person
from fhir_server.authn.second_factors import SecondFactors
from fhir_server.authn.sessions import Sessions
from fhir_server.commands.clinic import OpenClinic, clinic
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])
CLINIC_ROLES = [name for name in ROLES if name != PLATFORM_ROLE]


def _whose(command: F) -> F:
    """The options that say whose user is meant."""
    command = click.option("--username", required=True, metavar="U", help="The user's name.")(command)
    return _where(command)


def _where(command: F) -> F:
    command = click.option("--platform", is_flag=True, help="Somebody who runs the platform, of no tenant.")(command)
    return click.option("--tenant", "slug", default="", metavar="T", help="The tenant.")(command)


def _opened(slug: str, platform: bool) -> Any:
    if bool(slug) == platform:
        raise click.UsageError("Say --tenant T, or --platform.")
    return clinic(slug, platform=platform)


@click.group(name="user", epilog=example("fhir-server user list --tenant riverside"))
def command() -> None:
    """Add people who may sign in, list them, change them, shut them out."""


@command.command(
    epilog=example(
        "fhir-server user create --tenant riverside --username amara --role physician --practitioner amara-okafor"
    )
)
@_whose
@click.option("--role", "roles", multiple=True, type=click.Choice(list(ROLES)), help="A role; several may be given.")
@click.option("--name", default="", help="The name, for people; the username unless given.")
@click.option("--practitioner", default="", metavar="ID", help="Who the user is: the id of a Practitioner,")
@click.option("--patient", default="", metavar="ID", help="or of a Patient,")
@click.option("--related-person", default="", metavar="ID", help="or of a RelatedPerson,")
@click.option("--person", default="", metavar="ID", help="or of a Person.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create(
    slug: str,
    platform: bool,
    username: str,
    roles: tuple[str, ...],
    name: str,
    practitioner: str,
    patient: str,
    related_person: str,
    person: str,
    password_stdin: bool,
) -> None:
    """Add a user. Without --password-stdin a password is made and printed, which works for one sign-in."""
    named = {"Practitioner": practitioner, "Patient": patient, "RelatedPerson": related_person, "Person": person}
    identities = [f"{kind}/{value}" for kind, value in named.items() if value]
    if len(identities) > 1:
        raise click.UsageError("A user is one of --practitioner, --patient, --related-person and --person.")
    with _opened(slug, platform) as opened:
        given = _given_password(opened, username, name) if password_stdin else ""
        made = "" if given else passwords.random_password()
        created = opened.people.create(
            opened.id,
            username=username,
            name=name,
            roles=roles or ((PLATFORM_ROLE,) if platform else ()),
            fhir_user="".join(identities),
            password=given or made,
            must_change_password=bool(made),
        )
    click.echo(_line(created) if not made else f"{_line(created)}\t{made}")


@command.command(name="list", epilog=example("fhir-server user list --tenant riverside"))
@_where
def list_(slug: str, platform: bool) -> None:
    """List users, with tabs between: username, state, roles, who they are in FHIR, name, id."""
    with _opened(slug, platform) as opened:
        for one in opened.people.listed(opened.id):
            click.echo(_line(one))


@command.command(
    name="set-roles", epilog=example("fhir-server user set-roles --tenant riverside --username amara --role staff")
)
@_whose
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(CLINIC_ROLES), help="A role.")
def set_roles(slug: str, platform: bool, username: str, roles: tuple[str, ...]) -> None:
    """Give a user other roles; what was issued before is void at once."""
    _change(slug, platform, username, lambda opened, one: opened.people.change(opened.id, one.id, roles=roles))


@command.command(epilog=example("fhir-server user disable --tenant riverside --username amara"))
@_whose
def disable(slug: str, platform: bool, username: str) -> None:
    """Shut a user out: sessions, apps and access_tokens end at once."""
    _change(slug, platform, username, lambda opened, one: opened.people.change(opened.id, one.id, disabled=True))


@command.command(epilog=example("fhir-server user enable --tenant riverside --username amara"))
@_whose
def enable(slug: str, platform: bool, username: str) -> None:
    """Let a user in again."""
    _change(slug, platform, username, lambda opened, one: opened.people.change(opened.id, one.id, disabled=False))


@command.command(
    name="set-password", epilog=example("fhir-server user set-password --tenant riverside --username amara")
)
@_whose
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def set_password(slug: str, platform: bool, username: str, password_stdin: bool) -> None:
    """Give a user another password and end their sessions; printed, and good for one sign-in, unless it is read."""
    with _opened(slug, platform) as opened:
        one = opened.person(username)
        given = _given_password(opened, username, one.name) if password_stdin else ""
        made = "" if given else passwords.random_password()
        opened.people.set_password(opened.id, one.id, given or made, must_change_password=bool(made))
    if made:
        click.echo(made)


@command.command(
    name="end-sessions", epilog=example("fhir-server user end-sessions --tenant riverside --username amara")
)
@_whose
def end_sessions(slug: str, platform: bool, username: str) -> None:
    """Sign a user out everywhere; prints how many sessions ended."""
    with _opened(slug, platform) as opened:
        one = opened.person(username)
        click.echo(str(Sessions(opened.database).revoke_all(opened.id, one.id)))


@command.command(
    name="reset-second-factor",
    epilog=example("fhir-server user reset-second-factor --tenant riverside --username amara"),
)
@_whose
def reset_second_factor(slug: str, platform: bool, username: str) -> None:
    """Forget a user's second factors and sign them out; they set up new ones at the next sign-in."""
    with _opened(slug, platform) as opened:
        one = opened.person(username)
        click.echo(str(SecondFactors(opened.database).remove_all(opened.id, one.id)))
        Sessions(opened.database).revoke_all(opened.id, one.id)


def _change(slug: str, platform: bool, username: str, change: Callable[[OpenClinic, Person], Person]) -> None:
    with _opened(slug, platform) as opened:
        click.echo(_line(change(opened, opened.person(username))))


def _given_password(opened: OpenClinic, *words: str) -> str:
    """The password on standard input. Raises ConfigurationError for one that is too weak."""
    password = sys.stdin.readline().rstrip("\r\n")
    weak = passwords.weakness(password, opened.slug, *words)
    if weak:
        raise ConfigurationError(weak)
    return password


def _line(one: Person) -> str:
    state = "disabled" if one.disabled else "new password needed" if one.must_change_password else "active"
    return "\t".join((one.username, state, ",".join(one.roles), one.fhir_user or "-", one.name, one.id))
