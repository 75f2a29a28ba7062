"""What a clinic decides for itself about signing in and about apps. docs/people.md"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from fhir_server.access.permissions import ACTIONS
from fhir_server.access.roles import ROLES
from fhir_server.authn.upstream import UpstreamProvider
from fhir_server.crypto.sealing import SealBroken, Sealer
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.store import clinic_settings as rows
from fhir_server.store.session import Database

STYLE = (
    "color_background",
    "color_error",
    "color_highlight",
    "color_modal_backdrop",
    "color_success",
    "color_text",
    "dim_border_radius",
    "dim_font_size",
    "dim_spacing_size",
    "font_family_body",
    "font_family_heading",
)
"""https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling"""


@dataclass(frozen=True, slots=True)
class ClinicSettings:
    """A clinic's decisions.

    ``registration`` of apps is "open", by an initial access "token", or "off". ``second_factor`` asks everybody but
    patients for one. A session ends after ``session_idle_minutes`` without use, and after ``session_absolute_hours``.
    ``narrowed`` are the permissions taken from roles, ``style`` what apps are told of the clinic's look, ``rate_limit``
    the requests a second of the whole clinic (0 for no limit). ``upstream`` is the OpenID provider of its people, whose
    client_secret is sealed. ``demo_people`` are the ids of people whose passwords anybody can see.
    """

    registration: str = "off"
    second_factor: bool = True
    session_idle_minutes: int = 15
    session_absolute_hours: int = 12
    narrowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    style: Mapping[str, str] = field(default_factory=dict, hash=False)
    rate_limit: int = 0
    upstream: Mapping[str, str] = field(default_factory=dict, hash=False)
    demo_people: tuple[str, ...] = ()

    def provider(self, sealer: Sealer, tenant_id: int) -> UpstreamProvider | None:
        """The clinic's OpenID provider, opened for use; None where there is none. Raises BadRequest for a lost key."""
        if not self.upstream:
            return None
        try:
            secret = sealer.open(b64decode(self.upstream["client_secret"]), _context(tenant_id)).decode()
        except (SealBroken, ValueError):
            raise BadRequest("The OpenID provider's client_secret cannot be opened: set it again.") from None
        return UpstreamProvider(
            self.upstream["issuer"], self.upstream["client_id"], secret, self.upstream["claim"], self.upstream["scopes"]
        )


def read(database: Database, tenant_id: int) -> ClinicSettings:
    """The settings of a clinic. Raises Unavailable."""
    values = database.transaction(tenant_id, lambda c: rows.read(c, tenant_id))
    known = {one.name for one in fields(ClinicSettings)}
    given = {name: value for name, value in values.items() if name in known}
    if "narrowed" in given:
        given["narrowed"] = {role: tuple(keys) for role, keys in given["narrowed"].items()}
    if "demo_people" in given:
        given["demo_people"] = tuple(given["demo_people"])
    return ClinicSettings(**given)


def write(
    database: Database, tenant_id: int, changes: Mapping[str, Any], sealer: Sealer | None = None
) -> ClinicSettings:
    """Change settings by name; None takes one back to its default. Raises BadRequest for what cannot be, Unavailable.

    ``sealer`` is needed for ``upstream``, which is given with its client_secret in clear.
    """
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        check = _CHECKS.get(name)
        if check is None:
            raise BadRequest(f"There is no setting {name[:60]!r}; there are {', '.join(sorted(_CHECKS))}.")
        checked[name] = None if value is None else check(value)
    if checked.get("upstream"):
        if sealer is None:
            raise ValueError("an OpenID provider's client_secret is to be sealed")
        secret = sealer.seal(checked["upstream"]["client_secret"].encode(), _context(tenant_id))
        checked["upstream"] = checked["upstream"] | {"client_secret": b64encode(secret).decode()}
    database.transaction(tenant_id, lambda c: rows.write(c, tenant_id, checked))
    return read(database, tenant_id)


def _context(tenant_id: int) -> str:
    return f"upstream:{tenant_id}"


def _choice(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise BadRequest(f"This setting must be one of {', '.join(choices)}.")
        return str(value)

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadRequest("This setting must be true or false.")
    return value


def _number(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise BadRequest(f"This setting must be a whole number from {low} to {high}.")
        return value

    return check


def _narrowed(value: Any) -> dict[str, list[str]]:
    """What is taken must be there: a mistyped key would take nothing, and nobody would notice."""
    if not isinstance(value, dict):
        raise BadRequest('narrowed must be an object such as {"physician": ["patients:Observation:search"]}.')
    for role, keys in value.items():
        if role not in ROLES or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise BadRequest(f"narrowed must hold lists of permissions by role; roles are {', '.join(ROLES)}.")
        permissions = [tuple(str(one).split(":")) for one in ROLES[role].permissions()]
        for key in keys:
            if not any(_matches(tuple(key.split(":")), one) for one in permissions):
                raise BadRequest(f"The role {role} has no permission {key[:100]!r} that could be taken from it.")
    return dict(value)


def _matches(key: tuple[str, ...], permission: tuple[str, ...]) -> bool:
    # A role for every type has "*" as its resource: any type can be taken from it, but for its operations.
    every = permission[1] == "*" and permission[2] in ACTIONS
    return (
        len(key) == 3
        and key[0] in ("*", permission[0])
        and (key[1] in ("*", permission[1]) or (every and key[1] in definitions.load().resource_types))
        and key[2] in ("*", permission[2])
    )


def _style(value: Any) -> dict[str, str]:
    if (
        not isinstance(value, dict)
        or set(value) - set(STYLE)
        or not all(isinstance(one, str) for one in value.values())
    ):
        raise BadRequest(f"style must be an object of texts; there are {', '.join(STYLE)}.")
    return dict(value)


def _upstream(value: Any) -> dict[str, str]:
    optional = {"claim": "preferred_username", "scopes": "openid profile email"}
    if not isinstance(value, dict) or not all(isinstance(one, str) and one for one in value.values()):
        raise BadRequest("upstream must be an object of texts: issuer, client_id, client_secret, claim, scopes.")
    filled = optional | value
    if set(filled) != {"issuer", "client_id", "client_secret", *optional}:
        raise BadRequest("upstream needs issuer, client_id and client_secret, and may have claim and scopes.")
    if urlsplit(filled["issuer"]).scheme not in ("https", "http"):
        raise BadRequest("upstream.issuer must be the provider's https URL.")
    return filled


def _people(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadRequest("demo_people must be a list of ids.")
    return value


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "registration": _choice("open", "token", "off"),
    "second_factor": _flag,
    "session_idle_minutes": _number(1, 24 * 60),
    "session_absolute_hours": _number(1, 24 * 30),
    "narrowed": _narrowed,
    "style": _style,
    "rate_limit": _number(0, 1_000_000),
    "upstream": _upstream,
    "demo_people": _people,
}
