"""`fhir-server migrate`: bring the database to the present schema. https://alembic.sqlalchemy.org/"""

from __future__ import annotations

import click

from fhir_server.commands.database import database, owner_url
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError, Settings


@click.command(epilog=example("DATABASE_URL=postgresql://owner:secret@db/fhir fhir-server migrate"))
def command() -> None:
    """Apply the migrations that the database lacks, and check its schema."""
    with database(Settings.from_env()) as urls:
        apply(owner_url(urls))
    click.echo("The database is up to date.")


def apply(url: str) -> None:
    """Migrate the database at ``url``, the owner's. Raises ConfigurationError with one sentence when that fails."""
    # Loading Alembic and SQLAlchemy takes longer than everything else here: not before it is needed.
    from sqlalchemy.exc import SQLAlchemyError

    from fhir_server.store.migrate import SchemaError, migrate

    try:
        migrate(url)
    except SchemaError as error:
        raise ConfigurationError(str(error)) from error
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        reason = (str(cause).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigurationError(f"The migrations failed and were rolled back: {reason}.") from error
