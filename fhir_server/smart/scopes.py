"""What of the scopes a client asks for can be granted: by its registration, by the person's roles, by what they untick.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fhir_server.access import roles as role_map
from fhir_server.access.compartments import has_patients
from fhir_server.access.scopes import Scope, parse
from fhir_server.r4 import definitions

OFFLINE, ONLINE = "offline_access", "online_access"
OPENID = "openid"
LAUNCH, LAUNCH_PATIENT, LAUNCH_ENCOUNTER = "launch", "launch/patient", "launch/encounter"

PLAIN = (OPENID, "fhirUser", "profile", LAUNCH, LAUNCH_PATIENT, LAUNCH_ENCOUNTER, OFFLINE, ONLINE)
"""Scopes that are not about resources."""

_CATEGORY = "http://terminology.hl7.org/CodeSystem"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
KINDS = {
    "Condition": (
        f"category={_CATEGORY}/condition-category|problem-list-item",
        f"category={_CATEGORY}/condition-category|encounter-diagnosis",
        f"category={_US_CORE}/condition-category|health-concern",
    ),
    "Observation": (
        f"category={_CATEGORY}/observation-category|laboratory",
        f"category={_CATEGORY}/observation-category|vital-signs",
        f"category={_CATEGORY}/observation-category|social-history",
        f"category={_CATEGORY}/observation-category|survey",
        f"category={_US_CORE}/us-core-category|sdoh",
    ),
}
"""The kinds that a person can narrow a type to. https://hl7.org/fhir/us/core/scopes.html#us-core-scopes"""


@dataclass(frozen=True, slots=True)
class Offered:
    """One scope that a person can grant. ``kinds`` are the narrower scopes to choose among instead of all of it.

    ``required`` is what goes without asking, because nothing else of the request means anything without it.
    """

    text: str
    clinical: bool
    kinds: tuple[str, ...] = ()
    required: bool = False


def one(text: str) -> Scope | None:
    """The clinical scope that a text is, or None for what is none."""
    found = parse(text) if " " not in text else ()
    return found[0] if len(found) == 1 else None


def cut(text: str, limits: Iterable[str]) -> list[str]:
    """What of a scope lies within ``limits``, as it was written where all of it does.

    A limit for every type (``*``) covers each; one with a constraint covers the same constraint only.
    """
    scope = one(text)
    if scope is None:
        return [text] if text in PLAIN and text in set(limits) else []
    letters: dict[tuple[str, str], set[str]] = {}
    for limit in filter(None, map(one, limits)):
        if limit.context != scope.context or limit.constraint not in ("", scope.constraint):
            continue
        if limit.resource_type in ("*", scope.resource_type):
            key = (scope.resource_type, scope.constraint)
        elif scope.resource_type == "*" and not scope.constraint:
            key = (limit.resource_type, "")
        else:
            continue
        letters.setdefault(key, set()).update(limit.letters)
    whole = letters.pop((scope.resource_type, scope.constraint), set())
    found = [_with(scope, text, whole)]
    # Of a scope for every type, what single types are allowed beyond that.
    found += [_with(replace(scope, resource_type=name), "", more - whole) for (name, _), more in letters.items()]
    return [granted for granted in found if granted]


def _with(scope: Scope, text: str, letters: Iterable[str]) -> str:
    kept = "".join(letter for letter in scope.letters if letter in set(letters))
    if not kept:
        return ""
    return text if text and kept == scope.letters else str(replace(scope, letters=kept))


def within_roles(text: str, roles: Sequence[str]) -> str:
    """What of a scope people with these roles can be granted at all; "" for nothing."""
    scope = one(text)
    if scope is None:
        return text
    granted = role_map.grantable(roles, scope)
    if granted is None:
        return ""
    return text if granted == scope else str(granted)


def offered(requested: str, limits: Sequence[str], roles: Sequence[str]) -> tuple[list[Offered], int]:
    """What a person can be asked to grant of a request, in its order, and how many scopes of it are beyond them."""
    found: list[Offered] = []
    beyond = 0
    asked = list(dict.fromkeys(requested.split()))
    if OFFLINE in asked:
        asked = [text for text in asked if text != ONLINE]
    for text in asked:
        if one(text) is None and text not in PLAIN:
            continue
        granted = [kept for part in cut(text, limits) if (kept := within_roles(part, roles))]
        beyond += not granted
        found += [_offered(kept) for kept in granted]
    return list(dict.fromkeys(found)), beyond


def _offered(text: str) -> Offered:
    scope = one(text)
    if scope is None:
        return Offered(text, clinical=False, required=text not in (OFFLINE, ONLINE))
    return Offered(text, clinical=True, kinds=tuple(_kinds(scope)))


def _kinds(scope: Scope) -> Iterable[str]:
    if scope.constraint:
        return
    if scope.resource_type == "*":
        for name in _types_of(scope.context):
            yield str(replace(scope, resource_type=name))
    for constraint in KINDS.get(scope.resource_type, ()):
        yield str(replace(scope, constraint=constraint))


def _types_of(context: str) -> list[str]:
    names = sorted(definitions.load().resource_types)
    return [name for name in names if has_patients(name)] if context == "patient" else names


def subset(requested: str, granted: str) -> str | None:
    """A narrower scope than one that was granted; None where it is not within that.

    https://www.rfc-editor.org/rfc/rfc6749#section-6
    """
    limits = granted.split()
    kept = []
    for text in requested.split():
        parts = [text] if text in limits else cut(text, limits)
        if parts != [text]:
            return None
        kept.append(text)
    return " ".join(kept)
