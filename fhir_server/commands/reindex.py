"""`fhir-server reindex`: have the search index of some types made anew. docs/search-parameters.md"""

from __future__ import annotations

import click

from fhir_server.commands.database import owner_connection
from fhir_server.commands.example import example
from fhir_server.r4 import definitions
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import reindex_runs, tenants


@click.command(epilog=example("fhir-server reindex --tenant riverside Observation Condition"))
@click.option("--tenant", "slug", required=True, help="The tenant whose index is made anew.")
@click.argument("types", metavar="TYPE...", nargs=-1, required=True)
def command(slug: str, types: tuple[str, ...]) -> None:
    """Leave it to the workers to make the index of resources of TYPE anew; prints the id of the run."""
    for name in types:
        if name not in definitions.load().type_ids:
            raise ConfigurationError(f"{name!r} is no resource type of FHIR R4.")
    with owner_connection(Settings.from_env()) as connection:
        tenant = tenants.find(connection, slug)
        if tenant is None:
            raise ConfigurationError(f"There is no tenant {slug!r}; `fhir-server tenant list` shows them.")
        with connection.transaction():
            connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
            click.echo(reindex_runs.request(connection, tenant.id, sorted(set(types))))
