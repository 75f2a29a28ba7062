"""What each attacker may see, worked out from the map of roles and from whose a resource is by construction.

It reads the map as data (fhir_server/access/roles.py) and shares no code with the decision, its SQL or its facts.
docs/access.md
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from fhir_server.access.roles import DIRECTORY, ROLES, SYSTEM, Grant, Role
from fhir_server.r4 import definitions
from tests.attack.access.universe import DELETED, LABELLED, LABORATORY, PSYCHOTHERAPY, WITHHELD, Item, id_of

_PSY = f"{PSYCHOTHERAPY['system']}|{PSYCHOTHERAPY['code']}"
_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}
_BESIDE_COMPARTMENTS = frozenset({"Contract", "Device", "GuidanceResponse", "Task"})

CONSTRAINED = "?category=laboratory"
"""The one constraint that scopes of attackers have."""


@dataclass(frozen=True)
class Attacker:
    """Somebody with an access_token of the clinic: what it says, and to whose patients they are related by what.

    ``treated`` are those to whom an assignment was ended, ``assigned`` those of a person who is no practitioner;
    ``taken`` are types that the clinic has taken from the role.
    """

    name: str
    scope: str
    roles: tuple[str, ...] = ()
    fhir_user: str = ""
    patient: str = ""
    subject: str = "00000000-0000-4000-8000-00000000000f"
    treats: str = ""
    treated: str = ""
    assigned: str = ""
    represents: str = ""
    referred: str = ""
    himself: str = ""
    launched: str = ""
    taken: tuple[str, ...] = ()

    def sees(self, item: Item, letter: str = "r") -> bool:
        """Whether the attacker may see a resource, by reading ("r") or by searching ("s"), at least in part."""
        return any(True for _ in self._grants(item, letter))

    def sees_whole(self, item: Item, letter: str = "r") -> bool:
        """Whether the attacker may see all of a resource."""
        return item.variant != DELETED and any(not grant.elements for grant in self._grants(item, letter))

    def types(self, letter: str) -> frozenset[str]:
        """The types that the attacker may see anything of."""
        every = definitions.load().resource_types
        return frozenset(
            name
            for name in every
            for role in self._roles()
            for scope in _scopes(self.scope)
            if scope.fits(role, name, letter)
            for grant in role.grants
            if letter in grant.letters and (name in grant.types or "*" in grant.types) and grant.reach != "counts"
        )

    def _roles(self) -> Iterable[Role]:
        if not self.roles:
            return () if self.fhir_user or self.patient else (SYSTEM,)
        return [ROLES[name] for name in self.roles if name in ROLES]

    def _grants(self, item: Item, letter: str) -> Iterable[Grant]:
        for role in self._roles():
            for scope in _scopes(self.scope):
                if scope.fits(role, item.type, letter) and scope.lets(item, self.launched):
                    yield from (grant for grant in role.grants if self._granted(role, grant, item, letter))

    def _granted(self, role: Role, grant: Grant, item: Item, letter: str) -> bool:
        if letter not in grant.letters or not (item.type in grant.types or "*" in grant.types):
            return False
        if item.type in self.taken:
            return False
        if item.variant == LABELLED and _PSY in grant.withheld:
            return False
        own = grant.reach == "own" and self.fhir_user.startswith("Patient/")
        if item.variant == DELETED and grant.reach != "clinic":
            # What was deleted is told to those only who see every resource of its type.
            return False
        # What clients that act for nobody deliver no consent holds up: docs/access.md, "Writing".
        if (
            item.variant == WITHHELD
            and (letter in "rs" or role.name != "system")
            and not own
            and role.name != "super_admin"
            and item.type != "Consent"
        ):
            return False
        match grant.reach:
            case "clinic":
                return True
            case "patients":
                return _about(item, self.treats)
            case "clients":
                return _about(item, self.represents)
            case "referrals":
                return _about(item, self.referred)
            case "own":
                return _about(item, self.himself or self.assigned)
            case "mine":
                return bool(self.fhir_user) and f'"{self.fhir_user}"' in item.text
        return False


@dataclass(frozen=True)
class _Scope:
    context: str
    type: str
    letters: str
    constraint: str

    def fits(self, role: Role, resource_type: str, letter: str) -> bool:
        """Whether a scope is for a role, a type and a letter."""
        return (
            (self.context == "system") == (role.name == "system")
            and self.type in ("*", resource_type)
            and letter in self.letters
            and (not self.constraint or self.type != "*")
        )

    def lets(self, item: Item, launched: str) -> bool:
        """Whether its context and its constraint let a resource through."""
        if self.constraint and (self.constraint != CONSTRAINED or LABORATORY["code"] not in item.text):
            return False
        if self.context != "patient":
            return True
        return bool(launched) and (item.type in DIRECTORY or _about(item, launched))


@cache
def _scopes(text: str) -> tuple[_Scope, ...]:
    found = []
    for one in text.split():
        context, slash, rest = one.partition("/")
        if not slash:
            continue
        resource_type, _, letters = rest.partition(".")
        letters, mark, constraint = letters.partition("?")
        found.append(_Scope(context, resource_type, _LETTERS.get(letters, letters), mark + constraint))
    return tuple(found)


@cache
def about_patients() -> frozenset[str]:
    """The types that are about patients: those of the compartment, and those that name one all the same.

    https://hl7.org/fhir/R4/compartmentdefinition-patient.html
    """
    compartment = definitions.load().compartments["Patient"]
    return frozenset(compartment) | _BESIDE_COMPARTMENTS


def _about(item: Item, patients: str) -> bool:
    return item.type in about_patients() and not set(patients).isdisjoint(item.owner)


DOCTOR = f"Practitioner/{id_of('b', 'Practitioner')}"
MYSELF = f"Patient/{id_of('b', 'Patient')}"
_B = id_of("b", "Patient")
_FORMER = "00000000-0000-4000-8000-00000000000c"
_ATTORNEY = "00000000-0000-4000-8000-00000000000a"

ATTACKERS = (
    Attacker("physician", "user/*.cruds", ("physician",), DOCTOR, treats="b"),
    Attacker("patient", "patient/*.cruds", ("patient",), MYSELF, _B, himself="b", launched="b"),
    Attacker("patient as user", "user/*.cruds", ("patient",), MYSELF, himself="b"),
    Attacker("physician in a launch", "patient/*.cruds", ("physician",), DOCTOR, _B, treats="b", launched="b"),
    Attacker(
        "physician launched with a", "patient/*.rs", ("physician",), DOCTOR, id_of("a", "Patient"), treats="b",
        launched="a",
    ),
    Attacker("physician of former times", "user/*.cruds", ("physician",), subject=_FORMER, treated="a"),
    Attacker("relative", "user/*.cruds", ("patient",), f"RelatedPerson/{id_of('b', 'RelatedPerson')}", assigned="b"),
    Attacker("attorney", "user/*.rs", ("attorney",), subject=_ATTORNEY, represents="b"),
    Attacker("referring doctor", "user/*.rs", ("referring_doctor",), DOCTOR, referred="b"),
    Attacker("staff", "user/*.cruds", ("staff",), "Practitioner/nobody"),
    Attacker("billing", "user/*.cruds", ("billing",), "Practitioner/nobody"),
    Attacker("executive", "user/*.rs", ("executive",), "Practitioner/nobody"),
    Attacker("physician and staff", "user/*.cruds", ("physician", "staff"), DOCTOR, treats="b"),
    Attacker("physician and billing", "user/*.cruds", ("billing", "physician"), DOCTOR, treats="b"),
    Attacker("nobody", "user/*.cruds", ("physician",)),
    Attacker("without role", "user/*.cruds patient/*.cruds system/*.cruds", (), DOCTOR, _B, launched="b"),
    Attacker("unknown role", "user/*.cruds", ("king",), DOCTOR),
    Attacker("one type", "user/Observation.rs", ("physician",), DOCTOR, treats="b"),
    Attacker("read without search", "user/*.r", ("physician",), DOCTOR, treats="b"),
    Attacker("search without read", "user/*.s", ("physician",), DOCTOR, treats="b"),
    Attacker("scopes of v1", "patient/*.read", ("patient",), MYSELF, _B, himself="b", launched="b"),
    Attacker(
        "granular", f"patient/Observation.rs{CONSTRAINED} patient/Patient.r", ("patient",), MYSELF, _B, himself="b",
        launched="b",
    ),
    Attacker("client of one type", "system/Observation.rs"),
    Attacker("client with a constraint", f"system/Observation.rs{CONSTRAINED}"),
    Attacker("clinic admin", "user/*.cruds", ("clinic_admin",)),
    Attacker("super admin", "user/*.cruds", ("super_admin",)),
)  # fmt: skip
"""Everybody who asks for what is patient a's. None of them is related to patient a by anything."""
