"""A decision and what it was made of, as nested parameters. docs/access.md, "Why?" """

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.access import elements, relations, words
from fhir_server.access.conditions import Condition, Related
from fhir_server.access.permissions import ACTIONS
from fhir_server.access.policy import LETTERS, Access, Considered, Rule, considered, decide, persons_of
from fhir_server.access.principal import Principal
from fhir_server.interactions import looked_at, past, smallest_grants
from fhir_server.interactions.context import Context
from fhir_server.interactions.smallest_grants import Question
from fhir_server.r4 import instants
from fhir_server.search.constraints import resolver
from fhir_server.store import relations_shown
from fhir_server.store.people import Person
from fhir_server.store.resources import Stored

Parameter = dict[str, Any]
"""An entry of Parameters.parameter. https://hl7.org/fhir/R4/parameters.html"""

PERMITTED, REFUSED, OUT_OF_REACH, UNKNOWN, DEPENDS = "permitted", "refused", "out-of-reach", "unknown", "depends"
_SENTENCES = {
    PERMITTED: "It is permitted.",
    REFUSED: "It is refused with 403, whatever there is.",
    OUT_OF_REACH: "It is answered as if there were no such resource: 404.",
    UNKNOWN: "There is no such resource within your reach. If there is one, these rules decide.",
    DEPENDS: "It is permitted for resources that one of the rules lets through.",
}
_WRITING = ("update", "delete")
_NEVER = "Records of the audit trail are written by the server alone."
_ACTIONS = {letter: action for action, letter in ACTIONS.items()}


def tree(
    ctx: Context, question: Question, principal: Principal, person: Person | None, seen: Stored | None
) -> list[Parameter]:
    """The parameters of the answer. ``seen`` is the resource, where the asker may see it; else None."""
    if question.recorded and question.interaction in _WRITING:
        return _never(question, principal, person)
    resolve, taken = resolver(ctx.store.hasher), ctx.tenant.taken
    access = decide(principal, question.interaction, question.resource_type, resolve, taken)
    met = None
    if seen is not None:
        ctx.trace.patients |= set() if seen.patient is None else {seen.patient}
        met = _Met(ctx, question)
    decision = _decision(ctx, question, access, seen, disabled=person is not None and person.disabled)
    candidates = list(considered(principal, question.interaction, question.resource_type, resolve, taken))
    parameters = [
        _code("decision", decision),
        _text("explanation", _SENTENCES[decision]),
        _code("interaction", question.interaction),
        _text("url", question.name + (f"/_history/{question.version}" if question.version else "")),
        _person(principal, person),
        *(_combination(ctx, question, one, met) for one in candidates),
        *_relations(ctx, principal, seen),
    ]
    for role, key in smallest_grants.concerned(question, principal, taken):
        parameters.append({"name": "taken", "part": [_code("role", role), _text("permission", key)]})
    if decision in (REFUSED, OUT_OF_REACH, UNKNOWN):
        grants = smallest_grants.smallest(question, principal, taken, resolve, met)
        parameters += ({"name": "grant", "part": [_text("change", change) for change in one]} for one in grants)
    return parameters


def _never(question: Question, principal: Principal, person: Person | None) -> list[Parameter]:
    """The answer about what nobody may do, whatever they are granted."""
    return [
        _code("decision", REFUSED),
        _text("explanation", _NEVER),
        _code("interaction", question.interaction),
        _text("url", question.name),
        _person(principal, person),
    ]


def _decision(ctx: Context, question: Question, access: Access, seen: Stored | None, *, disabled: bool) -> str:
    if access.nothing or disabled:
        return REFUSED
    if not question.resource_id:
        return PERMITTED if access.whole(question.resource_type) else DEPENDS
    if seen is None:
        return UNKNOWN
    if question.recorded and question.interaction == "history-instance":
        # It has one version, and no history.
        return OUT_OF_REACH
    reached = looked_at.seen(ctx, access, question)
    return OUT_OF_REACH if reached is None else PERMITTED


class _Met:
    """Whether the resource meets a condition, asked of the rows once for each."""

    def __init__(self, ctx: Context, question: Question) -> None:
        self._ctx = ctx
        self._question = question
        self._known: dict[Condition, bool] = {}

    def __call__(self, condition: Condition) -> bool:
        asked = self._question
        if condition not in self._known:
            alone = Access((Rule(frozenset((asked.resource_type,)), (condition,)),))
            self._known[condition] = looked_at.seen(self._ctx, alone, asked) is not None
        return self._known[condition]


def _person(principal: Principal, person: Person | None) -> Parameter:
    parts = [_text("subject", principal.subject)]
    if person is not None and person.disabled:
        parts.append({"name": "disabled", "valueBoolean": True})
    if principal.fhir_user:
        parts.append(_text("fhirUser", principal.fhir_user))
    parts += (_code("role", role) for role in principal.roles)
    parts += (_text("scope", str(scope)) for scope in principal.scopes)
    if principal.patient:
        parts.append(_text("launchContext", f"Patient/{principal.patient}"))
    return {"name": "person", "part": parts}


def _combination(ctx: Context, question: Question, one: Considered, met: _Met | None) -> Parameter:
    """A role with a scope: what comes of the two, or why nothing does."""
    parts = [_code("role", one.role), _text("scope", str(one.scope))]
    if one.why:
        parts.append(_code("why", one.why))
    return {"name": "considered", "part": parts + [_rule(question, rule, met) for rule in one.rules]}


def _rule(question: Question, rule: Rule, met: _Met | None) -> Parameter:
    action = _ACTIONS[LETTERS[question.interaction]]
    parts = [
        _text("permission", f"{rule.reach}:{question.resource_type}:{action}"),
        _text("rows", words.rule(rule, question.resource_type)),
    ]
    if rule.elements:
        shown = sorted(elements.shown(rule.elements, question.resource_type))
        parts.append({"name": "mask", "part": [_code("name", rule.elements), *(_text("shows", one) for one in shown)]})
    if rule.counts:
        parts.append({"name": "countsOnly", "valueBoolean": True})
    for condition in rule.conditions:
        told = [_code("kind", words.KINDS[type(condition)]), _text("demands", words.condition(condition))]
        if met is not None:
            told.append({"name": "met", "valueBoolean": met(condition)})
        parts.append({"name": "condition", "part": told})
    return {"name": "rule", "part": parts}


def _relations(ctx: Context, principal: Principal, seen: Stored | None) -> Iterator[Parameter]:
    """By what the person is related to the patient, with its source where the asker may see that."""
    persons = persons_of(principal)
    if seen is None or not persons:
        return
    about = Access((Rule(frozenset((seen.resource_type,)), (Related(persons, tuple(relations.NAMES)),)),))
    (facts,) = ctx.store.facts(about, [(seen.resource_type, past.rows_of(ctx, seen))], every=False)
    keys = sorted(frozenset().union(*facts.known.values()))
    found = ctx.store.within(lambda c: relations_shown.relations(c, ctx.tenant.id, keys, sorted(facts.patients)))
    for one in found:
        parts = [_code("kind", relations.NAMES[one.kind].replace(" ", "-"))]
        source_type, _, source_id = one.source.partition("/")
        if source_id and past.seen(ctx, ctx.decide("read", source_type), source_type, source_id) is not None:
            parts.append({"name": "source", "valueReference": {"reference": one.source}})
        elif source_id and ctx.decide("access", seen.resource_type).nothing:
            # That there is a relation would tell that there is the resource, which is hidden from them.
            continue
        if one.number:
            parts.append({"name": "number", "valueInteger": one.number})
        if one.until < instants.MAX:
            parts.append({"name": "until", "valueInstant": instants.format_instant(one.until)})
        yield {"name": "relation", "part": parts}


def _text(name: str, value: str) -> Parameter:
    return {"name": name, "valueString": value}


def _code(name: str, value: str) -> Parameter:
    return {"name": name, "valueCode": value}
