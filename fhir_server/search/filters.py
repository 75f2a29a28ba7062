"""Filters as SQL conditions on the resources of one type; chains and the like are joins inside of them.

Every table of resources that a condition reads is narrowed to what the caller may see: a chain through a resource must
not tell what reading it would not. https://hl7.org/fhir/R4/search.html#combining
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Forbidden
from fhir_server.r4 import definitions, references
from fhir_server.search import support
from fhir_server.search.condition import Condition
from fhir_server.search.query import Chain, Clause, Combination, Filter, Has, InCompartment, Negation
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import reference
from fhir_server.search.values import unescape

NOTHING = Condition(row="false")


@dataclass(frozen=True, slots=True)
class FilterCompiler:
    """Turns filters into conditions of one statement.

    ``access`` says what may be seen of the type that is searched, ``joined`` what may be searched at all, for the types
    that chains and the like pass through.
    """

    sql: SqlParameters
    hasher: Hasher
    access: Access
    joined: Access

    def condition(self, wanted: Filter, resource_type: str) -> Condition:
        """What resources of the type are to meet. Raises BadRequest for values that cannot be searched, and Forbidden
        for a chain that leads through types alone that the caller may not search."""
        match wanted:
            case Clause():
                return self._clause(wanted, resource_type)
            case Chain():
                return self._chain(wanted)
            case Has():
                return self._has(wanted, resource_type)
            case InCompartment():
                return self._in_compartment(wanted)
            case Combination(operator="and"):
                return self._all([self.condition(part, resource_type) for part in wanted.parts], resource_type)
            case Combination():
                return self._any([self.condition(part, resource_type) for part in wanted.parts], resource_type)
            case Negation():
                return _not(self.condition(wanted.part, resource_type))

    def scope(self, resource_type: str, alias: str = "r") -> str:
        """The condition that a row is a resource of the type that exists. The tenant and the type lead every index;
        row level security is the second lock, not this one."""
        type_id = self.sql.bind(definitions.load().type_ids[resource_type], "smallint")
        return f"{alias}.tenant_id = {self.sql.tenant} AND {alias}.type_id = {type_id} AND NOT {alias}.deleted"

    def selected(self, resource_type: str, found: Iterable[Condition], column: str) -> str:
        """A subquery of one column of the resources that meet all conditions, for a type that is passed through."""
        conditions = list(found)
        if column == "rid" and len(conditions) == 1 and conditions[0].rids and not conditions[0].row:
            return conditions[0].rids
        parts = [self.scope(resource_type)]
        parts += (one.row if one.row and not one.rids else f"r.rid IN ({one.rids})" for one in conditions)
        return f"SELECT r.{column} FROM resource r WHERE {' AND '.join(parts)}"

    def permitted(self, resource_type: str) -> bool:
        """Whether the caller may search the type, for those that a search passes through."""
        return self.joined.types is None or resource_type in self.joined.types

    def _clause(self, clause: Clause, resource_type: str) -> Condition:
        condition = support.where(_typed(clause), self.sql, self.hasher)
        if not is_id(clause):
            return condition
        keys = [self.hasher.uncached(f"{resource_type}/{unescape(value)}") for value in clause.values]
        # The key finds the row; the id says that it is no other resource of the same hash.
        return Condition(row=f"r.key {self.chosen(keys)} AND {condition.row}")

    def chosen(self, keys: list[int]) -> str:
        """The comparison with one of some keys."""
        if len(keys) == 1:
            return f"= {self.sql.bind(keys[0], 'bigint')}"
        return f"= ANY({self.sql.bind(keys, 'bigint[]')})"

    def _chain(self, chain: Chain) -> Condition:
        """https://hl7.org/fhir/R4/search.html#chaining"""
        targets = [(name, part) for name, part in chain.targets if self.permitted(name)]
        if not targets:
            raise _forbidden(chain.text, [name for name, _ in chain.targets])
        keys, urls = [], []
        for name, part in targets:
            condition = self.condition(part, name)
            if reference.holds_references(chain.parameter):
                keys.append(self.selected(name, [condition], "key"))
            if reference.holds_canonicals(chain.parameter) and reference.has_url(name):
                urls.append(self._urls(name, condition))
        found = " UNION ALL ".join([*keys, *urls])
        if not found:
            return NOTHING
        rids = (
            f"SELECT i.rid FROM idx_reference i WHERE i.tenant_id = {self.sql.tenant} AND "
            f"i.param = {self.sql.bind(chain.parameter.param, 'int')} AND i.target IN ({found})"
        )
        on_row = reference.names_row_patient(chain.parameter) and [name for name, _ in targets] == ["Patient"]
        return Condition(rids, f"(r.patient IN ({found}))" if on_row else "")

    def _urls(self, resource_type: str, condition: Condition) -> str:
        """The hashes of the canonical URLs of the resources that meet a condition."""
        return (
            f"SELECT o.target FROM idx_reference o WHERE o.tenant_id = {self.sql.tenant} AND "
            f"o.param = {self.sql.bind(reference.own_url(resource_type), 'int')} AND "
            f"o.rid IN ({self.selected(resource_type, [condition], 'rid')})"
        )

    def _has(self, has: Has, resource_type: str) -> Condition:
        """https://hl7.org/fhir/R4/search.html#has"""
        source = has.parameter.resource_type
        if not self.permitted(source):
            raise _forbidden(has.text, [source])
        rids = self.selected(source, [self.condition(has.filter, source)], "rid")
        targets = (
            f"SELECT i.target FROM idx_reference i WHERE i.tenant_id = {self.sql.tenant} AND "
            f"i.param = {self.sql.bind(has.parameter.param, 'int')} AND i.rid IN ({rids})"
        )
        rows = []
        if reference.holds_references(has.parameter):
            rows.append(f"r.key IN ({targets})")
        if reference.holds_canonicals(has.parameter) and reference.has_url(resource_type):
            rows.append(
                f"r.rid IN (SELECT o.rid FROM idx_reference o WHERE o.tenant_id = {self.sql.tenant} AND "
                f"o.param = {self.sql.bind(reference.own_url(resource_type), 'int')} AND o.target IN ({targets}))"
            )
        return Condition(row=f"({' OR '.join(rows)})") if rows else NOTHING

    def _in_compartment(self, wanted: InCompartment) -> Condition:
        """https://hl7.org/fhir/R4/compartmentdefinition.html"""
        owner = self.sql.bind(self.hasher.uncached(wanted.owner), "bigint")
        if not wanted.parameters:
            return Condition(row=f"r.key = {owner}")
        params = [parameter.param for parameter in wanted.parameters]
        rids = (
            f"SELECT i.rid FROM idx_reference i WHERE i.tenant_id = {self.sql.tenant} AND "
            f"i.target = {owner} AND i.param = ANY({self.sql.bind(params, 'int[]')})"
        )
        alone = len(params) == 1 and wanted.owner.startswith("Patient/")
        on_row = alone and reference.names_row_patient(wanted.parameters[0])
        return Condition(rids, f"r.patient = {owner}" if on_row else "", unique=len(params) == 1)

    def as_row(self, condition: Condition) -> str:
        """A condition as one on the row ``r``."""
        return condition.row or f"r.rid IN ({condition.rids})"

    def _all(self, found: list[Condition], resource_type: str) -> Condition:
        return Condition(row=f"({' AND '.join(self.as_row(one) for one in found)})")

    def _any(self, found: list[Condition], resource_type: str) -> Condition:
        if all(one.rids for one in found):
            return Condition(" UNION ".join(f"({one.rids})" for one in found))
        return Condition(row=f"({' OR '.join(self.as_row(one) for one in found)})")


def _not(condition: Condition) -> Condition:
    # A row of NULLs is neither: what is not known to hold does not hold.
    return Condition(row=f"(({condition.row}) IS NOT TRUE)" if condition.row else f"(r.rid NOT IN ({condition.rids}))")


def _forbidden(text: str, types: list[str]) -> Forbidden:
    named = " or ".join(types[:5])
    return Forbidden(
        f"{text.partition('=')[0]} searches {named}, which the access_token does not permit; "
        f"the scope system/{types[0]}.s would."
    )


def _typed(clause: Clause) -> Clause:
    """``patient=1`` read as ``patient=Patient/1``, which the row itself answers.

    The definition that most types share would let the id be a Group's as well, which a patient is not.
    https://hl7.org/fhir/R4/searchparameter-registry.html#clinical-patient
    """
    if clause.parameter.code != "patient" or clause.parameter.type != "reference" or clause.modifier:
        return clause
    values = tuple(f"Patient/{value}" if references.ID.fullmatch(value) else value for value in clause.values)
    return replace(clause, values=values)


def is_id(wanted: Filter) -> bool:
    """Whether the filter names resources by id."""
    return isinstance(wanted, Clause) and wanted.parameter.code == "_id" and not wanted.modifier


def owner_parameters(compartment: str, resource_type: str, known: dict[str, Parameter]) -> tuple[Parameter, ...]:
    """The parameters by which a type belongs to a compartment; () for none."""
    codes = definitions.load().compartments.get(compartment, {}).get(resource_type, ())
    return tuple(known[code] for code in codes if code in known)
