"""What would have to be granted, at least, for a decision to be another one. docs/access.md, "Why?" """

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from fhir_server.access import relations
from fhir_server.access.conditions import About, Condition, Consented, Names, Related
from fhir_server.access.permissions import ACTIONS
from fhir_server.access.policy import LETTERS, Resolve, decide
from fhir_server.access.principal import Principal
from fhir_server.access.roles import ROLES
from fhir_server.access.scopes import Scope

Taken = tuple[tuple[str, tuple[str, ...]], ...]

SOMEBODY = "-"
"""Stands for the patient of a launch context that there is not yet; no resource has this id."""

_MOST = 3
_ROLE = 2
"""Another role opens much more than what is asked for: it counts as two changes."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a decision is about. ``resource_id`` is "" for a whole type.

    ``recorded`` says that it is a record of the audit trail: interactions/audit_events.py.
    """

    interaction: str
    resource_type: str
    resource_id: str = ""
    version: str = ""
    recorded: bool = False

    @property
    def name(self) -> str:
        """The resource, or the type."""
        return f"{self.resource_type}/{self.resource_id}" if self.resource_id else self.resource_type

    @property
    def patient(self) -> str:
        """Words for the patient that a resource is about."""
        return self.name if self.resource_type == "Patient" else f"the patient of {self.name}"


Apply = Callable[[Principal, Taken], tuple[Principal, Taken]]


@dataclass(frozen=True, slots=True)
class _Change:
    text: str
    apply: Apply
    cost: int = 1


Met = Callable[[Condition], bool]


def smallest(
    question: Question, principal: Principal, taken: Taken, resolve: Resolve, met: Met | None
) -> list[tuple[str, ...]]:
    """The smallest sets of changes that would let it through, each in words; [] where none of those known would.

    ``met`` tells what of the conditions the resource meets; None where that is not to be told: then only what the
    request itself says is looked at, and relations are taken to be missing.
    """
    best: dict[tuple[str, ...], None] = {}
    least = _MOST + 1
    changes = list(_changes(question, principal, taken))
    for size in range(_MOST + 1):
        for chosen in combinations(changes, size):
            cost = sum(change.cost for change in chosen)
            if cost > least or cost > _MOST:
                continue
            for more in _left(question, principal, taken, resolve, met, chosen):
                whole = cost + len(more)
                if whole < least:
                    best, least = {}, whole
                if whole == least:
                    best[(*(change.text for change in chosen), *more)] = None
    return list(best)


def _left(
    question: Question,
    principal: Principal,
    taken: Taken,
    resolve: Resolve,
    met: Met | None,
    chosen: tuple[_Change, ...],
) -> Iterator[tuple[str, ...]]:
    """What would still be missing after some changes, for each rule that there would be then."""
    who, without = principal, taken
    for change in chosen:
        who, without = change.apply(who, without)
    access = decide(who, question.interaction, question.resource_type, resolve, without)
    for rule in access.rules:
        missing = [_missing(question, who, one) for one in rule.conditions if not _is_met(question, one, met)]
        if all(missing):
            yield tuple(missing)


def _is_met(question: Question, one: Condition, met: Met | None) -> bool:
    if not question.resource_id:
        return True
    if isinstance(one, About) and one.patient in (f"Patient/{SOMEBODY}", question.name):
        return True
    if met is not None:
        return met(one)
    return not isinstance(one, Related | About | Names)


def _missing(question: Question, who: Principal, one: Condition) -> str:
    """What would make a condition hold; "" for what no grant can."""
    person = who.fhir_user or f"User/{who.subject}"
    if question.recorded:
        # Whose record it is they are, or are not: no relation shows it.
        return ""
    match one:
        case Related(_, kinds) if relations.BREAK_GLASS in kinds:
            return f"breaking the glass of {question.patient}"
        case Related(_, kinds) if relations.MATTER in kinds:
            return f"a matter in which {person} represents {question.patient}"
        case Related(_, kinds) if relations.REFERRAL in kinds:
            return f"a referral of {question.patient} by {person}"
        case Related():
            return f"assignment of {person} to {question.patient}"
        case Consented():
            return f"a consent of the patient that does not withhold it from {person}"
    return ""


def _changes(question: Question, principal: Principal, taken: Taken) -> Iterator[_Change]:
    letters = LETTERS[question.interaction]
    contexts = ["patient", "user"] if principal.patient else ["user"]
    for context in contexts if principal.roles else ["system"]:
        scope = Scope(context, question.resource_type, letters)
        yield _Change(f"scope {scope}", _with_scope(scope))
    if not principal.patient and any(scope.context == "patient" for scope in principal.scopes):
        whom = principal if question.resource_type != "Patient" else replace(principal, patient=question.resource_id)
        patient = whom.patient or SOMEBODY
        text = f"a launch context with {question.patient if question.resource_id else 'a patient'}"
        yield _Change(text, lambda p, t: (replace(p, patient=patient), t))
    for role, key in concerned(question, principal, taken):
        yield _Change(f"permission {key}, which the clinic has taken from the role {role}", _given_back(role, key))
    for name in ROLES:
        if principal.roles and name not in (*principal.roles, "super_admin"):
            yield _Change(f"role {name}", _with_role(name), _ROLE)


def _with_scope(scope: Scope) -> Apply:
    return lambda principal, taken: (replace(principal, scopes=(*principal.scopes, scope)), taken)


def _with_role(name: str) -> Apply:
    return lambda principal, taken: (replace(principal, roles=(*principal.roles, name)), taken)


def _given_back(role: str, key: str) -> Apply:
    def apply(principal: Principal, taken: Taken) -> tuple[Principal, Taken]:
        left = ((one, tuple(k for k in keys if (one, k) != (role, key))) for one, keys in taken)
        return principal, tuple(left)

    return apply


def concerned(question: Question, principal: Principal, taken: Taken) -> list[tuple[str, str]]:
    """What the clinic has taken from the roles of a person that has a say in the question: (role, permission)."""
    letters = LETTERS[question.interaction]
    actions = {name for name, letter in ACTIONS.items() if letter in letters} | {"*"}
    found = []
    for role, keys in taken:
        for key in keys:
            _, resource, action = key.split(":")
            if role in principal.roles and resource in ("*", question.resource_type) and action in actions:
                found.append((role, key))
    return found
