"""The `fhir-server` command; each of its commands is one file in commands/. https://click.palletsprojects.com/"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from fhir_server import __version__
from fhir_server.commands.example import example
from fhir_server.logs import describe
from fhir_server.settings import ConfigurationError

COMMANDS = {
    "up": "fhir_server.commands.up",
    "web": "fhir_server.commands.web",
    "worker": "fhir_server.commands.worker",
    "migrate": "fhir_server.commands.migrate",
    "tenant": "fhir_server.commands.tenant",
    "access-token": "fhir_server.commands.access_token",
    "load": "fhir_server.commands.load",
    "search-parameter": "fhir_server.commands.search_parameter",
    "reindex": "fhir_server.commands.reindex",
    "audit": "fhir_server.commands.audit",
    "assignment": "fhir_server.commands.assignment",
    "user": "fhir_server.commands.user",
    "client": "fhir_server.commands.client",
    "launch-url": "fhir_server.commands.launch_url",
    "keys": "fhir_server.commands.keys",
}
"""Name -> module; each module's ``command`` is the click command. Add a command here and a file there."""

USAGE, FAILURE, INTERRUPTED = 2, 1, 130


class _Commands(click.Group):
    """Imports a command's module when it is asked for, so that `--help` of one does not load the web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=_Commands, epilog=example("fhir-server up"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fhir-server")
def cli() -> None:
    """A FHIR R4 server. Settings are environment variables; docs/settings.md lists them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 for what the operator must change, 2 for a wrong command line.

    An error is one sentence on standard error, never a traceback.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; answers the exit status."""
    try:
        status = cli.main(arguments, prog_name="fhir-server", standalone_mode=False)
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
    click.echo("fhir-server: " + " ".join(sentence.split()), err=True)
    return status


if __name__ == "__main__":
    main()
