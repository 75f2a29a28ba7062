"""A person as pages show them. docs/people.md"""

from __future__ import annotations

from typing import Any

from fhir_server.authn.people import Person
from fhir_server.console.role_words import GIVEN_BY_CLINICS, ROLE_WORDS, words


def shown(person: Person) -> dict[str, Any]:
    """What the lists and the page of a person say."""
    tag, tone = ("shut out", "error") if person.disabled else ("", "")
    if not person.disabled and person.must_change_password:
        tag, tone = "has not signed in yet", "warn"
    return {
        "id": person.id,
        "username": person.username,
        "name": person.name,
        "roles": words(person.roles),
        "role_names": list(person.roles),
        "fhir_user": person.fhir_user,
        "tag": tag,
        "tone": tone,
        "state": "disabled" if person.disabled else "active",
    }


def all_roles() -> list[tuple[str, str]]:
    """The roles that people of a clinic can have, with their names for people."""
    return [(name, ROLE_WORDS[name]) for name in GIVEN_BY_CLINICS]
