"""The one decision: what may this principal do with resources of this type? Pure, no I/O. docs/access.md

Scopes are cut down by roles and roles by scopes; what is left is a list of rules, each of which lets some rows through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from fhir_server.access import relations
from fhir_server.access.compartments import has_patients
from fhir_server.access.conditions import About, Condition, Consented, Facts, HasAny, Names, Related, Unlabelled
from fhir_server.access.principal import Principal
from fhir_server.access.roles import DIRECTORY, EVERY, ROLES, SYSTEM, Grant, Role, narrowed
from fhir_server.access.scopes import Scope
from fhir_server.r4 import definitions

LETTERS = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search-type": "s",
    "count": "s",
    "search-system": "s",
    "history-type": "s",
    "history-system": "s",
    "explain": "cruds",
    "reindex": "u",
    "assign": "u",
    "break-glass": "r",
    "break-glass-acknowledge": "u",
    "alerts": "r",
    "accounting": "r",
    "audit": "r",
    "access": "r",
}
"""The SMART v2 permissions that each interaction needs, in the order of a scope's.

How searches run is for those who may do everything anyway: they run the clinic or the platform.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-fhir-resources
"""

OPERATIONS = frozenset(
    {
        "explain",
        "reindex",
        "assign",
        "break-glass",
        "break-glass-acknowledge",
        "alerts",
        "accounting",
        "audit",
        "access",
    }
)
"""Interactions that a role must have by name, whatever its resources."""

_READING = frozenset(name for name, letters in LETTERS.items() if letters in ("r", "s")) - OPERATIONS | {"patch"}
"""Interactions that show what is stored: consents have a say in them."""

_WRITING = frozenset(("create", "update", "delete"))
"""Interactions in which consents have a say for people, who are to write what they may read.

Not for clients that act for nobody: what an instrument or another system delivers is the record itself, and a consent
says who may see that.
"""

Resolve = Callable[[str, str], tuple[HasAny, ...] | None]
"""What a scope's constraint on a resource type comes down to; None for one that cannot be honoured."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way of being let through: resources of these types that meet every condition. ``types`` None is every type.

    ``elements`` names what of them is shown ("" for all), ``counts`` says that they are only counted. ``role``,
    ``reach`` and ``scope`` say where the rule comes from.
    """

    types: frozenset[str] | None
    conditions: tuple[Condition, ...] = ()
    elements: str = ""
    counts: bool = False
    role: str = field(default="", compare=False)
    reach: str = field(default="", compare=False)
    scope: str = field(default="", compare=False)

    def covers(self, resource_type: str) -> bool:
        """Whether the rule is about this type."""
        return self.types is None or resource_type in self.types


@dataclass(frozen=True, slots=True)
class Access:
    """What a decision leaves: nothing, everything, or what one of the rules lets through.

    It is read by two functions only: `allows`, for a resource in memory, and store/restriction.py, for rows in SQL.
    """

    rules: tuple[Rule, ...]

    @property
    def nothing(self) -> bool:
        """True when no row at all may be seen or written."""
        return not self.rules

    @property
    def types(self) -> frozenset[str] | None:
        """The types of which anything may be seen; None for every type."""
        if any(rule.types is None for rule in self.rules):
            return None
        return frozenset().union(*(rule.types for rule in self.rules if rule.types is not None))

    def reaches(self, resource_type: str) -> bool:
        """Whether any resource of the type may be seen."""
        return any(rule.covers(resource_type) for rule in self.rules)

    def whole(self, resource_type: str) -> bool:
        """Whether every resource of the type may be seen, whatever it is like."""
        return any(rule.covers(resource_type) and not rule.conditions for rule in self.rules)

    @property
    def everything(self) -> bool:
        """Whether every resource of every type may be seen whole."""
        return any(rule.types is None and not (rule.conditions or rule.elements or rule.counts) for rule in self.rules)

    def allows(self, facts: Facts) -> bool:
        """May a resource of which these are the facts be seen, or written as it is?"""
        return any(
            rule.covers(facts.resource_type) and all(condition.met(facts) for condition in rule.conditions)
            for rule in self.rules
        )

    def masks(self, resource_type: str) -> tuple[str, ...]:
        """What of the type's resources is shown, by the names in access/elements.py, "" for all: one name where that is
        the same for each of them, several where it depends on the rule that lets a resource through."""
        rules = [rule for rule in self.rules if rule.covers(resource_type) and not rule.counts]
        if any(not rule.elements and not rule.conditions for rule in rules):
            return ("",)
        return tuple(sorted({rule.elements for rule in rules}))

    def shown_by(self, mask: str) -> Access:
        """What of it is shown by one mask; with "" what is shown whole."""
        return Access(tuple(rule for rule in self.rules if rule.elements == mask))

    def leaving(self, hidden: tuple[tuple[str, str], ...]) -> Access:
        """The same without what lets resources of a type be shown by a mask, for each of these (type, mask)."""
        return _leaving(self, hidden) if hidden else self

    def counts_only(self, resource_type: str) -> bool:
        """Whether resources of the type may be counted and not seen."""
        rules = [rule for rule in self.rules if rule.covers(resource_type)]
        return bool(rules) and all(rule.counts for rule in rules)

    @property
    def visible(self) -> Access:
        """What may be seen, without what may only be counted."""
        if not any(rule.counts for rule in self.rules):
            return self
        return Access(tuple(rule for rule in self.rules if not rule.counts))

    @property
    def minds_consents(self) -> bool:
        """Whether consents can withhold anything of it."""
        return any(isinstance(condition, Consented) for rule in self.rules for condition in rule.conditions)

    def without_consents(self) -> Access:
        """The same where there is no consent that could withhold anything."""
        return _without_consents(self)


@lru_cache(maxsize=8192)
def _without_consents(access: Access) -> Access:
    if not access.minds_consents:
        return access
    kept = []
    for rule in access.rules:
        left = tuple(condition for condition in rule.conditions if not isinstance(condition, Consented))
        kept.append(replace(rule, conditions=left) if left != rule.conditions else rule)
    return Access(_by_any_relation(kept))


@lru_cache(maxsize=1024)
def _leaving(access: Access, hidden: tuple[tuple[str, str], ...]) -> Access:
    kept = []
    for rule in access.rules:
        gone = {resource_type for resource_type, mask in hidden if mask == rule.elements and rule.covers(resource_type)}
        types = definitions.load().resource_types if rule.types is None else rule.types
        if not gone:
            kept.append(rule)
        elif left := frozenset(types) - gone:
            kept.append(replace(rule, types=left))
    return Access(tuple(kept))


def _by_any_relation(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules that differ in nothing but the kinds of relation that they ask for as one that takes any of those: what is
    asked of each row is asked once."""
    found: dict[Rule, set[int]] = {}
    for rule in rules:
        related = [one for one in rule.conditions if isinstance(one, Related)]
        # Two relations of one rule are both to hold: they are left as they are.
        kinds = related[0].kinds if len(related) == 1 else ()
        found.setdefault(_with_kinds(rule, ()) if kinds else rule, set()).update(kinds)
    return tuple(_with_kinds(rule, tuple(sorted(kinds))) if kinds else rule for rule, kinds in found.items())


def _with_kinds(rule: Rule, kinds: tuple[int, ...]) -> Rule:
    conditions = (replace(one, kinds=kinds) if isinstance(one, Related) else one for one in rule.conditions)
    return replace(rule, conditions=tuple(conditions))


EVERYTHING = Access((Rule(None),))
NOTHING = Access(())


def of_types(*types: str) -> Access:
    """Every resource of these types."""
    return Access((Rule(frozenset(types)),)) if types else NOTHING


def no_constraints(resource_type: str, query: str) -> None:
    """Honours no constraint: a scope that has one grants nothing."""


def decide(
    principal: Principal,
    interaction: str,
    resource_type: str | None,
    resolve: Resolve = no_constraints,
    taken: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> Access:
    """What the principal may reach by this interaction. No matching rule means nothing.

    ``interaction`` is a key of `LETTERS`; ``resource_type`` is None for the whole system. ``resolve`` reads the
    constraints of scopes; ``taken`` are the permissions that the clinic has taken from its roles, by role.
    """
    return _decide(principal, interaction, resource_type, resolve, taken)


@lru_cache(maxsize=16_384)
def _decide(
    principal: Principal,
    interaction: str,
    resource_type: str | None,
    resolve: Resolve,
    taken: tuple[tuple[str, tuple[str, ...]], ...],
) -> Access:
    rules = [
        rule
        for candidate in considered(principal, interaction, resource_type, resolve, taken)
        for rule in candidate.rules
    ]
    return Access(_joined(rules))


def _joined(rules: list[Rule]) -> tuple[Rule, ...]:
    """Rules that differ in their types alone as one, without those that let nothing through that others do not."""
    alike: dict[tuple[object, ...], Rule] = {}
    for rule in rules:
        key = (rule.conditions, rule.elements, rule.counts)
        known = alike.get(key)
        if known is None:
            alike[key] = rule
        elif known.types is not None:
            alike[key] = replace(known, types=None if rule.types is None else known.types | rule.types)
    whole = [rule for rule in alike.values() if not (rule.conditions or rule.elements or rule.counts)]
    return tuple(
        rule
        for rule in alike.values()
        if rule in whole
        or not any(one.types is None or (rule.types is not None and rule.types <= one.types) for one in whole)
    )


@dataclass(frozen=True, slots=True)
class Considered:
    """One combination of a role and a scope, and the rules that come of it; ``why`` says why there are none."""

    role: str
    scope: Scope
    rules: tuple[Rule, ...] = ()
    why: str = ""


def considered(
    principal: Principal,
    interaction: str,
    resource_type: str | None,
    resolve: Resolve = no_constraints,
    taken: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> Iterator[Considered]:
    """Every combination that a decision looks at, in its order, for `decide` and for those who ask why."""
    letters = LETTERS.get(interaction)
    if letters is None:
        return
    removed = dict(taken)
    for role in _roles(principal):
        role = narrowed(role, removed.get(role.name, ()))
        for scope in principal.scopes:
            yield _combined(principal, role, scope, interaction, letters, resource_type, resolve)


def _roles(principal: Principal) -> Iterable[Role]:
    if not principal.roles:
        # A person without a role must not pass for a client that acts for nobody.
        return () if principal.fhir_user or principal.patient else (SYSTEM,)
    return [ROLES[name] for name in principal.roles if name in ROLES]


def _combined(
    principal: Principal,
    role: Role,
    scope: Scope,
    interaction: str,
    letters: str,
    resource_type: str | None,
    resolve: Resolve,
) -> Considered:
    if (scope.context == "system") != (role is SYSTEM):
        return Considered(role.name, scope, why="context")
    if any(letter not in scope.letters for letter in letters):
        return Considered(role.name, scope, why="scope-action")
    if resource_type is not None and scope.resource_type not in ("*", resource_type):
        return Considered(role.name, scope, why="scope-type")
    if interaction in OPERATIONS and interaction not in role.operations:
        return Considered(role.name, scope, why="permission")
    if scope.context == "patient" and not principal.patient:
        return Considered(role.name, scope, why="launch-context")
    wanted = EVERY if resource_type is None else frozenset({resource_type})
    types = _meet(wanted, EVERY if scope.resource_type == "*" else frozenset({scope.resource_type}))
    rules = tuple(
        rule
        for grant in role.grants
        if interaction in OPERATIONS or all(letter in grant.letters for letter in letters)
        for rule in _granted(principal, role, grant, scope, types, interaction, resolve)
    )
    return Considered(role.name, scope, rules, "" if rules else "permission")


def _granted(
    principal: Principal,
    role: Role,
    grant: Grant,
    scope: Scope,
    wanted: frozenset[str],
    interaction: str,
    resolve: Resolve,
) -> Iterator[Rule]:
    """The rules of one grant under one scope, for the types wanted."""
    types = _meet(grant.types, wanted)
    # What is only to be counted is let through to be counted alone: interactions/counting.py tells of nobody.
    if not types or (grant.reach == "counts") != (interaction == "count"):
        return
    constraint: tuple[Condition, ...] = ()
    if scope.constraint:
        # Of every type at once it would mean another thing for each.
        resolved = None if scope.resource_type == "*" else resolve(scope.resource_type, scope.constraint)
        if resolved is None:
            return
        constraint = resolved
    minding = _READING if role.name == SYSTEM.name else _READING | _WRITING
    for reached in _reached(principal, role, grant, consents=interaction in minding):
        conditions = (*reached, *constraint, *((Unlabelled(grant.withheld),) if grant.withheld else ()))
        for narrower, more in _in_context(principal, scope, types):
            yield Rule(
                None if narrower == EVERY else narrower,
                (*more, *(one for one in conditions if not isinstance(one, Consented) or _of_patients(narrower))),
                grant.elements,
                grant.reach == "counts",
                role.name,
                grant.reach,
                str(scope),
            )


def _in_context(
    principal: Principal, scope: Scope, types: frozenset[str]
) -> Iterator[tuple[frozenset[str], tuple[Condition, ...]]]:
    """Scopes of a patient reach what is about the patient, and what is about nobody."""
    if scope.context != "patient":
        yield types, ()
        return
    named = frozenset(definitions.load().resource_types) if types == EVERY else types
    about = frozenset(name for name in named if has_patients(name))
    if about:
        yield about, (About(f"Patient/{principal.patient}"),)
    if named & DIRECTORY:
        yield named & DIRECTORY, ()


def _of_patients(types: frozenset[str]) -> bool:
    """Whether a consent can have a say in any of these types."""
    return types == EVERY or any(has_patients(name) for name in types)


def _reached(principal: Principal, role: Role, grant: Grant, *, consents: bool) -> Iterator[tuple[Condition, ...]]:
    """The conditions of each way that a reach has; none where the person is nobody whom it could be about."""
    persons = persons_of(principal)
    minded: tuple[Condition, ...] = (Consented(persons),) if consents else ()
    if role.name == "super_admin":
        minded = ()
    match grant.reach:
        case "clinic" | "counts":
            yield minded
        case "patients" if persons:
            yield Related(persons, relations.OWN_PATIENTS), *minded
            # Who breaks the glass has been asked for a reason that outweighs a consent.
            yield (Related(persons, (relations.BREAK_GLASS,)),)
        case "clients" if persons:
            yield Related(persons, (relations.MATTER,)), *minded
        case "referrals" if persons:
            yield Related(persons, (relations.REFERRAL,)), *minded
        case "mine" if persons:
            yield Names(persons), *minded
        case "own" if principal.fhir_user.startswith("Patient/"):
            yield (About(principal.fhir_user),)
        case "own" if principal.fhir_user:
            yield Related(persons, (relations.ASSIGNMENT,)), *minded


def persons_of(principal: Principal) -> tuple[str, ...]:
    """By what relations know a person: who they are in FHIR, and their account here."""
    if not principal.roles:
        return ()
    account = f"User/{principal.subject}"
    return (principal.fhir_user, account) if principal.fhir_user else (account,)


def _meet(first: frozenset[str], second: frozenset[str]) -> frozenset[str]:
    if first == EVERY:
        return second
    return first if second == EVERY else first & second
