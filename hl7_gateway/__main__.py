"""The `hl7-gateway` command; each of its commands is one file in commands/. https://click.palletsprojects.com/"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import click

from fhir_server import __version__
from fhir_server.cli import FAILURE, INTERRUPTED, USAGE
from fhir_server.commands.example import example
from fhir_server.logs import describe
from fhir_server.settings import ConfigurationError

COMMANDS: Final = {
    "serve": "hl7_gateway.commands.serve:serve",
    "work": "hl7_gateway.commands.serve:work",
    "feed": "hl7_gateway.commands.feed:feed",
    "messages": "hl7_gateway.commands.messages:messages",
    "replay": "hl7_gateway.commands.replay:replay",
    "drop": "hl7_gateway.commands.replay:drop",
    "convert": "hl7_gateway.commands.convert:convert",
    "score": "hl7_gateway.commands.mapping:score",
    "compare": "hl7_gateway.commands.mapping:compare",
    "alerts": "hl7_gateway.commands.alerts:alerts",
    "destination": "hl7_gateway.commands.destination:destination",
    "lint": "hl7_gateway.commands.lint:lint",
    "send": "hl7_gateway.commands.send:send",
    "simulate": "hl7_gateway.commands.simulate:simulate",
}
"""Name -> module and click command. Add a command here and a file there."""


class _Commands(click.Group):
    """Imports a command's module when it is asked for, so that `--help` of one does not load the database."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(
    cls=_Commands,
    epilog=example("hl7-gateway feed add riverside lab --set port=6001"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="hl7-gateway")
def cli() -> None:
    """HL7 v2 to FHIR: feeds, messages, dead letters. Settings are environment variables: docs/settings.md."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; answers the exit status: 1 for what the operator must change, 2 for a wrong command line.

    An error is one sentence on standard error, never a traceback.
    """
    try:
        status = cli.main(arguments, prog_name="hl7-gateway", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_error:
        click.echo(help_error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        return _fail(error.format_message(), USAGE)
    except ConfigurationError as error:
        return _fail(str(error), FAILURE)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has stopped reading; Python must not try to flush it once more.
        sys.stdout = None
        return FAILURE
    except Exception as error:  # noqa: BLE001 - the last resort turns a defect into one line without values
        described = describe(error)
        stack = described["stack"]
        place = stack[-1] if isinstance(stack, list) and stack else "an unknown place"
        return _fail(f"unexpected {described['type']} at {place}; this is a defect, please report it", FAILURE)
    return status if isinstance(status, int) else 0


def _fail(sentence: str, status: int) -> int:
    click.echo("hl7-gateway: " + " ".join(sentence.split()), err=True)
    return status


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run())


if __name__ == "__main__":
    main()
