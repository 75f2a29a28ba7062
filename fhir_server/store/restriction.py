"""What an Access lets through, as a condition on rows of ``resource``: the SQL half of the decision. docs/access.md

The other half is `Access.allows`; a property test holds that both agree. What finds rows here are leakproof
comparisons, so that row level security leaves every look-up an index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from fhir_server.access.compartments import VIA, codes, on_row
from fhir_server.access.conditions import About, Condition, Consented, HasAny, Names, Related, Unlabelled
from fhir_server.access.policy import Access, Rule
from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.r4 import definitions
from fhir_server.store.consent_condition import denied

_MOST_OVERLAPPED = 32
"""Above this many, comparing each token of a row with each that is looked for costs more than hashing them."""

_ROLE_OF = param_id("PractitionerRole.practitioner")


class Binder(Protocol):
    """Where a statement's values go: search.sql.SqlParameters, or another of the kind."""

    @property
    def tenant(self) -> str:
        """The placeholder of the tenant."""

    def bind(self, value: object, cast: str = "") -> str:
        """The placeholder of a value."""


def label_hashes(hasher: Hasher, resource_type: str, labels: Iterable[str]) -> list[int]:
    """The tokens that resources of a type with one of these security labels have; a system may be missing in them."""
    param = param_id(f"{resource_type}._security")
    variants = (form for label in labels for form in (label, f"|{label.rpartition('|')[2]}"))
    return [hasher(f"{param}:b:{variant}") for variant in dict.fromkeys(variants)]


def roles_of(keys: str, sql: Binder) -> str:
    """The keys of the roles in which practitioners act, beside their own: columns ``person`` and ``key``.

    ``keys`` is SQL of a bigint[]. https://hl7.org/fhir/R4/practitionerrole.html
    """
    return (
        f"SELECT i.target AS person, o.key FROM idx_reference i JOIN resource o "
        f"ON o.tenant_id = i.tenant_id AND o.rid = i.rid WHERE i.tenant_id = {sql.tenant} "
        f"AND i.param = {sql.bind(_ROLE_OF, 'int')} AND i.target = ANY({keys}) AND NOT o.deleted"
    )


def _relates(rule: Rule) -> bool:
    """Whether a rule lets nothing through but what is about patients of somebody."""
    return any(isinstance(one, Related) for one in rule.conditions)


def _act(persons: Iterable[str]) -> bool:
    """Whether one of the persons may act in roles."""
    return any(person.startswith("Practitioner/") for person in persons)


@lru_cache(maxsize=1024)
def _alike(access: Access, resource_types: tuple[str, ...]) -> list[tuple[tuple[Rule, ...], tuple[str, ...]]]:
    """The types of which anything is let through, in groups of those that the same is asked of, with the rules of it;
    () where they are let through whole."""
    groups: dict[tuple[tuple[Rule, ...], object], list[str]] = {}
    for name in resource_types:
        rules = tuple(rule for rule in access.rules if rule.covers(name))
        if any(not rule.conditions for rule in rules):
            groups.setdefault(((), None), []).append(name)
        elif rules:
            groups.setdefault((rules, on_row(name) or (codes(name), name in VIA)), []).append(name)
    return [(rules, tuple(names)) for (rules, _), names in groups.items()]


@dataclass(frozen=True, slots=True)
class Restriction:
    """Writes the condition for one statement. ``present`` is now, in microseconds since 1970 UTC, or SQL of it.

    ``kept`` says that the statement is planned once for the many times that it is executed, so that it may be longer
    where that saves work.
    """

    access: Access
    sql: Binder
    hasher: Hasher
    present: int | str
    kept: bool = False

    @property
    def now(self) -> str:
        """SQL of the present, bound where it is first asked for."""
        return self.present if isinstance(self.present, str) else self.sql.bind(self.present, "bigint")

    def on(self, resource_types: Sequence[str], patient: str = "") -> str:
        """The condition that a row ``r``, which is of one of these types, is let through; "" where all of them are.

        ``patient`` is SQL of the key of the one patient whose rows they are known to be: relations are then looked up
        once and not for each row.
        """
        if any(rule.types is None and not rule.conditions for rule in self.access.rules):
            return ""
        numbers = definitions.load().type_ids
        parts = []
        for rules, names in _alike(self.access, tuple(resource_types)):
            let = self._any(rules, names, patient)
            if len(names) == len(resource_types):
                return let
            of_type = self.sql.bind(sorted(numbers[name] for name in names), "smallint[]")
            parts.append(f"r.type_id = ANY({of_type}){' AND ' if let else ''}{let}")
        return f"({' OR '.join(parts)})" if parts else "false"

    def _any(self, rules: tuple[Rule, ...], names: Sequence[str], patient: str) -> str:
        if not rules:
            return ""
        each = (" AND ".join(self._condition(one, names, patient) for one in rule.conditions) for rule in rules)
        return f"({' OR '.join(f'({one})' for one in each)})"

    def _condition(self, condition: Condition, names: Sequence[str], patient: str) -> str:
        match condition:
            case About(one):
                return self._about(one, names)
            case Related(persons, kinds):
                return self._related(persons, kinds, names, patient)
            case Names(persons):
                named = f"i.tenant_id = {self.sql.tenant} AND i.rid = r.rid AND i.target = ANY({self._keys(persons)})"
                return f"EXISTS (SELECT FROM idx_reference i WHERE {named} OFFSET 0)"
            case Unlabelled(labels):
                hashes = [one for name in names for one in label_hashes(self.hasher, name, labels)]
                return f"NOT {self._overlaps(hashes)}"
            case HasAny(tokens, targets):
                return self._has_any(tokens, targets)
            case Consented(persons):
                return self._consented(persons, names)

    def _about(self, patient: str, names: Sequence[str]) -> str:
        key = self.sql.bind(self.hasher.uncached(patient), "bigint")
        if on_row(names[0]):
            return f"r.patient = {key}"
        return f"EXISTS (SELECT FROM ({self._patients(names)}) p WHERE p.patient = {key} OFFSET 0)"

    def _related(self, persons: tuple[str, ...], kinds: tuple[int, ...], names: Sequence[str], patient: str) -> str:
        kind = self.sql.bind(list(kinds), "smallint[]")

        def related(whose: str, keys: str) -> str:
            return (
                f"c.tenant_id = {self.sql.tenant} AND c.person = ANY({keys}) "
                f"AND c.patient = {whose} AND c.kind = ANY({kind}) AND c.low <= {self.now} AND c.high > {self.now}"
            )

        if on_row(names[0]) and patient:
            role = self.sql.bind(_ROLE_OF if _act(persons) else None, "int")
            asked = f"{self.sql.tenant}, {self._keys(persons)}, {role}, {kind}, {patient}, {self.now}"
            return f"(SELECT fhir_related({asked}))"
        if on_row(names[0]):
            among = [self._persons(persons)]
            if self.kept and _act(persons):
                # Few are related by a role alone: for the others nobody's roles are looked up.
                among.insert(0, self._keys(persons))
            each = (
                f"EXISTS (SELECT FROM care_relation c WHERE {related('r.patient', keys)} OFFSET 0)" for keys in among
            )
            return f"({' OR '.join(each)})"
        found = f"SELECT FROM care_relation c WHERE {related('p.patient', self._persons(persons))} OFFSET 0"
        return f"EXISTS (SELECT FROM ({self._patients(names)}) p CROSS JOIN LATERAL ({found}) c OFFSET 0)"

    def _consented(self, persons: tuple[str, ...], names: Sequence[str]) -> str:
        known = self._persons(persons) if persons else "'{}'::bigint[]"
        if on_row(names[0]):
            return f"(r.patient IS NULL OR NOT {denied(self.sql, 'r', known, self.now)})"
        if not codes(names[0]):
            return "true"
        row = (
            "SELECT r.tenant_id, r.type_id, r.key, p.patient, r.tokens, r.date_low, r.date_high "
            f"FROM ({self._patients(names)}) p"
        )
        return f"NOT EXISTS (SELECT FROM ({row}) x WHERE {denied(self.sql, 'x', known, self.now)} OFFSET 0)"

    def _patients(self, names: Sequence[str]) -> str:
        """The patients of a row for which ``r.patient`` does not tell, as a column ``patient``."""
        params = self.sql.bind(sorted(param_id(f"{name}.{code}") for name in names for code in codes(name)), "int[]")
        of_row = f"i.tenant_id = {self.sql.tenant} AND i.rid = r.rid AND i.param = ANY({params})"
        if names[0] not in VIA:
            return f"SELECT i.target AS patient FROM idx_reference i WHERE {of_row}"
        return (
            "SELECT coalesce(o.patient, i.target) AS patient FROM idx_reference i LEFT JOIN resource o "
            f"ON o.tenant_id = i.tenant_id AND o.key = i.target AND NOT o.deleted WHERE {of_row}"
        )

    def panel(self, resource_type: str) -> tuple[str, str] | None:
        """The patients whom rows of a type must be about to be let through, few as they may be; None where they may be
        about others.

        A subquery of their keys as ``key``, some of them several times, and one of the rids ``rid`` that lead on from a
        table ``m`` of such keys, with the mark SEEDS of search/condition.py where the table's name belongs.
        """
        rules = [rule for rule in self.access.rules if rule.covers(resource_type)]
        related = [one for rule in rules for one in rule.conditions if isinstance(one, Related)]
        if not rules or not on_row(resource_type) or not all(map(_relates, rules)):
            return None
        kinds = self.sql.bind(sorted({kind for one in related for kind in one.kinds}), "smallint[]")
        persons = tuple(dict.fromkeys(person for one in related for person in one.persons))
        return (
            f"SELECT c.patient AS key FROM care_relation c WHERE c.tenant_id = {self.sql.tenant} "
            f"AND c.person = ANY({self._persons(persons)}) AND c.kind = ANY({kinds}) "
            f"AND c.low <= {self.now} AND c.high > {self.now}"
        ), (
            "SELECT t.rid FROM \x01 m CROSS JOIN LATERAL (SELECT t.rid FROM resource t "
            f"WHERE t.tenant_id = {self.sql.tenant} AND t.patient = m.key AND NOT t.deleted AND t.type_id = "
            f"{self.sql.bind(definitions.load().type_ids[resource_type], 'smallint')} OFFSET 0) t"
        )

    def panel_is_all(self, resource_type: str) -> bool:
        """Whether being about one of the patients of `panel` is all that is asked of rows of a type."""
        asked = [rule.conditions for rule in self.access.rules if rule.covers(resource_type)]
        persons = {one.persons for conditions in asked for one in conditions if isinstance(one, Related)}
        return len(persons) == 1 and all(
            len(conditions) == 1 and isinstance(conditions[0], Related) for conditions in asked
        )

    def _keys(self, persons: tuple[str, ...]) -> str:
        return self.sql.bind([self.hasher.uncached(person) for person in persons], "bigint[]")

    def _persons(self, persons: tuple[str, ...]) -> str:
        """The keys of persons and of the roles in which practitioners among them act, looked up once a statement."""
        keys = self._keys(persons)
        if not _act(persons):
            return keys
        # The cast keeps it from being taken for a subquery of keys.
        asked = f"{self.sql.tenant}, {keys}, {self.sql.bind(_ROLE_OF, 'int')}"
        return f"CAST((SELECT fhir_persons({asked})) AS bigint[])"

    def _overlaps(self, hashes: list[int]) -> str:
        some = self.sql.bind(hashes, "bigint[]")
        if len(hashes) <= _MOST_OVERLAPPED:
            return f"(r.tokens && {some})"
        return f"EXISTS (SELECT FROM unnest(r.tokens) t WHERE t = ANY({some}))"

    def _has_any(self, tokens: Sequence[int], targets: Sequence[tuple[int, int]]) -> str:
        parts = [self._overlaps(list(tokens))] if tokens else []
        for param in sorted({param for param, _ in targets}):
            some = self.sql.bind([target for one, target in targets if one == param], "bigint[]")
            named = (
                f"i.tenant_id = {self.sql.tenant} AND i.rid = r.rid "
                f"AND i.param = {self.sql.bind(param, 'int')} AND i.target = ANY({some})"
            )
            parts.append(f"EXISTS (SELECT FROM idx_reference i WHERE {named} OFFSET 0)")
        return f"({' OR '.join(parts)})" if parts else "false"
