"""`fhir-server launch-url`: an EHR launch by hand. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html"""

from __future__ import annotations

import click

from fhir_server.commands.clinic import clinic
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError
from fhir_server.smart import clients, launches
from fhir_server.smart.launches import Launches
from fhir_server.smart.places import Places


@click.command(
    name="launch-url",
    epilog=example(
        "fhir-server launch-url --tenant riverside --app https://app.example.org/launch --user physician --patient p1"
    ),
)
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option("--app", required=True, metavar="URL", help="The app's launch address, or its client_id.")
@click.option("--user", required=True, metavar="U", help="Who opens the app; this user must sign in.")
@click.option("--patient", default="", metavar="P", help="The id of the patient who is open.")
@click.option("--encounter", default="", metavar="E", help="The id of the encounter that is open.")
@click.option("--no-banner", is_flag=True, help="The app need not show whose data it shows.")
def command(slug: str, app: str, user: str, patient: str, encounter: str, no_banner: bool) -> None:
    """Print the address that opens an app in a browser, good for ten minutes and one launch."""
    with clinic(slug) as opened:
        person = opened.person(user)
        known = clients.listed(opened.database, opened.id)
        client = next((one for one in known if app in (one.id, one.launch_uri)), None)
        address = app if "://" in app else client.launch_uri if client is not None else ""
        if not address:
            raise ConfigurationError(f"{app!r} is neither a URL nor a client with a launch address.")
        context = launches.context(patient, encounter, banner=not no_banner)
        handle = Launches(opened.database).begin(opened.id, person.id, client.id if client is not None else "", context)
        click.echo(launches.address(address, Places(opened.settings.public_url, slug), handle))
