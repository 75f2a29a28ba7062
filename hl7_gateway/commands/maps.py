"""ConceptMaps in files, for commands that try a mapping out. docs/hl7-overrides.md"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from fhir_server.errors import FhirError
from fhir_server.r4 import json
from fhir_server.settings import ConfigurationError
from fhir_server.validation import validate
from hl7_gateway.overrides.concept_maps import Lookup, Stored

maps_option = click.option(
    "--map",
    "maps",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A ConceptMap in JSON that the mapping names; may be repeated.",
)


def of_files(files: Sequence[Path], otherwise: Lookup | None = None) -> Lookup:
    """Looks ConceptMaps up in files, and those of URLs that no file has ``otherwise``. Raises ConfigurationError."""
    by_url: dict[str, list[Stored]] = {}
    for file in files:
        content = file.read_bytes()
        try:
            body = json.parse(content)
            validate(body, "ConceptMap")
        except FhirError as error:
            issue = error.issues[0]
            raise ConfigurationError(f"{file} is no ConceptMap: {issue.diagnostics} {issue.expression or ''}") from None
        except ValueError as error:
            raise ConfigurationError(f"{file} is not JSON: {error}") from None
        by_url.setdefault(body.get("url", ""), []).append(Stored(str(file), 0, content))

    def lookup(url: str) -> Sequence[Stored]:
        if url in by_url or otherwise is None:
            return by_url.get(url, ())
        return otherwise(url)

    return lookup
