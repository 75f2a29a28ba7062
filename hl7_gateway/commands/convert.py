"""`hl7-gateway convert`: a message as a FHIR Bundle, without a server. docs/hl7.md"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_server.commands.example import example
from fhir_server.r4 import json
from fhir_server.settings import ConfigurationError
from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.commands.clinic import assignments, parsed
from hl7_gateway.commands.maps import maps_option, of_files
from hl7_gateway.conversion.bundle import as_bundle
from hl7_gateway.conversion.convert import convert as converted
from hl7_gateway.overrides.concept_maps import loaded
from hl7_gateway.problems import Hl7Error
from hl7_gateway.reading import Read, read
from hl7_gateway.wire import files


@click.command(epilog=example("hl7-gateway convert admission.hl7 --set zone=America/New_York"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "words", multiple=True, metavar="KEY=VALUE", help="A key of a feed, as for `feed add`.")
@maps_option
@click.pass_context
def convert(ctx: click.Context, file: Path, words: tuple[str, ...], maps: tuple[Path, ...]) -> None:
    """Print the messages of FILE as transaction Bundles, one a line; what was not read is told on standard error.

    The exit status is 1 where a message is not converted.
    """
    feed = parsed(FeedRow(0, "", 0, "convert", False, 0, assignments(words)))
    mapping = loaded(feed.mapping, of_files(maps))
    if mapping.wanting:
        raise ConfigurationError(f"{'; '.join(mapping.wanting)}. Give each ConceptMap as --map FILE.")
    try:
        found = files.messages(file.read_bytes())
    except Hl7Error as error:
        raise ConfigurationError(str(error)) from None
    good = True
    for number, raw in enumerate(found, 1):
        one = read(feed, raw)
        if not isinstance(one, Read) or one.message is None or one.problem is not None:
            problem = one.problem if isinstance(one, Read) else "it is not one message"
            click.echo(f"{file.name}[{number}]: {problem}", err=True)
            good = False
            continue
        try:
            said = converted(one.message, mapping)
        except Hl7Error as error:
            click.echo(f"{file.name}[{number}]: {error}", err=True)
            good = False
            continue
        for warning in said.warnings:
            click.echo(f"{file.name}[{number}]: {warning.place}: {warning.said}", err=True)
        mended: list[str] = []
        bundle = as_bundle(said, one.message, mapping, mended)
        for told in mended:
            click.echo(f"{file.name}[{number}]: {told}", err=True)
        if said.unmapped:
            click.echo(f"{file.name}[{number}]: not read: {', '.join(map(str, said.unmapped))}", err=True)
        click.echo(json.dumps(bundle).decode())
    if not good:
        ctx.exit(1)
