"""`hl7-gateway lint`: what in a message is not as its version of the standard says. docs/hl7.md"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from hl7_gateway.conformance.finding import SEVERITIES
from hl7_gateway.lint import lint_bytes
from hl7_gateway.problems import Hl7Error
from hl7_gateway.wire.files import messages


@click.command(epilog="\b\nExample:\n  hl7-gateway lint --errors-only admission.hl7")
@click.option("--charset", default="UNICODE UTF-8", show_default=True, help="Where MSH-18 names none.")
@click.option("--errors-only", is_flag=True, help="Leave out warnings and information.")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.pass_context
def lint(ctx: click.Context, charset: str, errors_only: bool, files: tuple[Path, ...]) -> None:
    """Tell what in the messages of files is not as their version of the standard says.

    Nothing is sent, and no server is needed. The exit status is 1 where there is an error.
    """
    counted: Counter[str] = Counter()
    for file in files:
        try:
            found = messages(file.read_bytes())
        except Hl7Error as error:
            click.echo(f"{file.name}: error: {error}")
            counted["E"] += 1
            continue
        for number, message in enumerate(found, 1):
            name = file.name if len(found) == 1 else f"{file.name}[{number}]"
            for finding in lint_bytes(message, charset):
                counted[finding.severity] += 1
                if finding.severity == "E" or not errors_only:
                    click.echo(f"{name}: {finding}")
    summary = ", ".join(f"{counted[severity]} {name}" for severity, name in SEVERITIES.items() if counted[severity])
    click.echo(summary or "nothing to tell")
    if counted["E"]:
        ctx.exit(1)
