"""`fhir-server search-parameter`: search parameters for every tenant. docs/search-parameters.md"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import psycopg

from fhir_server.commands.database import owner_connection
from fhir_server.commands.example import example
from fhir_server.errors import Conflict, Invalid
from fhir_server.r4 import json
from fhir_server.r4.references import ID
from fhir_server.search.custom import definition
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import search_parameters, tenants
from fhir_server.store.parameter_definition import Definition
from fhir_server.validation import validate


@click.group(name="search-parameter", epilog=example("fhir-server search-parameter list"))
def command() -> None:
    """Install search parameters for all tenants, those to come too."""


@command.command(epilog=example("fhir-server search-parameter install eye-colour.json"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def install(file: Path) -> None:
    """Take the SearchParameter in FILE, an active one with an id, into use for every tenant."""
    parameter_id, found = _read(file)
    with owner_connection(Settings.from_env()) as connection:
        _share(connection, parameter_id, found)


@command.command(epilog=example("fhir-server search-parameter remove eye-colour"))
@click.argument("parameter_id", metavar="ID")
def remove(parameter_id: str) -> None:
    """Take the shared search parameter ID out of use for every tenant."""
    with owner_connection(Settings.from_env()) as connection:
        if parameter_id not in search_parameters.shared(connection):
            raise ConfigurationError(f"There is no shared search parameter {parameter_id!r}.")
        _share(connection, parameter_id, None)


@command.command(name="list", epilog=example("fhir-server search-parameter list | cut -f2"))
def list_() -> None:
    """List the shared search parameters: id, code, type and expression, with tabs between them."""
    with owner_connection(Settings.from_env()) as connection:
        for parameter_id, one in search_parameters.shared(connection).items():
            click.echo(f"{parameter_id}\t{one.code}\t{one.type}\t{one.expression}")


def _read(file: Path) -> tuple[str, Definition]:
    try:
        resource: Any = json.parse(file.read_bytes())
        if not isinstance(resource, dict) or resource.get("resourceType") != "SearchParameter":
            raise ConfigurationError(f"{file} holds no SearchParameter.")
        validate(resource)
        found = definition(resource)
    except Invalid as error:
        raise ConfigurationError(" ".join(f"{i.expression}: {i.diagnostics}" for i in error.issues)) from None
    except ValueError:
        raise ConfigurationError(f"{file} is no JSON.") from None
    parameter_id = resource.get("id", "")
    if not ID.fullmatch(parameter_id):
        raise ConfigurationError("The SearchParameter needs an id, by which it can be removed again.")
    if found is None:
        raise ConfigurationError("The SearchParameter must be active, and none of the standard ones.")
    return parameter_id, found


def _share(connection: psycopg.Connection, parameter_id: str, found: Definition | None) -> None:
    """Each tenant in a transaction of its own, the note for those to come first: then none is created without it."""
    with connection.transaction():
        search_parameters.install(connection, parameter_id, found)
    for tenant in tenants.listed(connection):
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
                changed = search_parameters.register(connection, tenant.id, parameter_id, found, shared=True)
        except Conflict as error:
            click.echo(f"{tenant.slug}\tkept as it is: {error.issues[0].diagnostics}")
        else:
            click.echo(f"{tenant.slug}\t{'left to the workers' if changed else 'nothing to do'}")
