"""Filters as SQL conditions on the resources of one type. https://hl7.org/fhir/R4/search.html#combining

Every type of resources that a condition passes through is one that the caller may search: a chain must not tell what
reading would not.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Forbidden
from fhir_server.r4 import definitions, references
from fhir_server.search import contained, support, token_variants
from fhir_server.search.condition import SEEDS, Condition, Panel
from fhir_server.search.joins import Joins, guarded
from fhir_server.search.query import Chain, Clause, Combination, Contained, Filter, Has, InCompartment, Negation
from fhir_server.search.registry import Parameter
from fhir_server.search.size import Budget
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import reference
from fhir_server.search.values import unescape
from fhir_server.store.reading import now
from fhir_server.store.restriction import Restriction


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
    joins: Joins = field(init=False)
    at: int = field(init=False, default_factory=now)
    budget: Budget = field(init=False, default_factory=Budget)

    def __post_init__(self) -> None:
        object.__setattr__(self, "joins", Joins(self.sql))

    def condition(self, wanted: Filter, resource_type: str) -> Condition:
        """What resources of the type are to meet. Raises BadRequest for values that cannot be searched and for a search
        that becomes too large, and Forbidden for a chain that leads through types alone that the caller may not
        search."""
        found = self._condition(wanted, resource_type)
        self.budget.spend(found.rids, found.row, found.stream)
        return found

    def _condition(self, wanted: Filter, resource_type: str) -> Condition:
        match wanted:
            case Clause():
                return self._clause(wanted, resource_type)
            case Chain():
                return self._chain(wanted)
            case Contained():
                return self._contained(wanted)
            case Has():
                source = wanted.parameter.resource_type
                if not self._permitted(source):
                    raise _forbidden(wanted.text, [source])
                let = self._restriction(self.joined).on([source])
                return self.joins.has(wanted.parameter, self.condition(wanted.filter, source), resource_type, let)
            case InCompartment():
                return self._in_compartment(wanted)
            case Combination(operator="and"):
                return self._all([self.condition(part, resource_type) for part in wanted.parts])
            case Combination():
                return self._any([self.condition(part, resource_type) for part in wanted.parts], resource_type)
            case Negation():
                return self._not(self.condition(wanted.part, resource_type))

    def let(self, resource_types: Sequence[str], patient: str = "", *, contained: bool = False) -> str:
        """The condition that a row of one of these types may be seen; "" where all of them may. docs/access.md

        ``patient`` is SQL of the one patient whom the rows are about, where that is known. ``contained`` says that the
        rows are not of the type that is searched, but contain what is.
        """
        return self._restriction(self.joined if contained else self.access).on(resource_types, patient)

    def panel(self, resource_type: str, let: str) -> Panel | None:
        """The patients whom rows must be about to be let through by ``let``; None where they may be about any."""
        restriction = self._restriction(self.access)
        found = restriction.panel(resource_type)
        if found is None:
            return None
        patients, follow = found
        seed = f"SELECT DISTINCT m.key FROM ({patients}) m"
        rids = follow.replace(SEEDS, f"({seed})")
        start = Condition(rids, let, stream=rids, seed=seed, follow=follow)
        return Panel(patients, start, let, restriction.panel_is_all(resource_type))

    def _restriction(self, access: Access) -> Restriction:
        return Restriction(access, self.sql, self.hasher, self.at)

    def _guarded(self, condition: Condition, resource_type: str) -> Condition:
        """The condition on resources that a search passes through: what may not be seen must not be told by it."""
        let = self._restriction(self.joined).on([resource_type])
        return guarded(condition, Condition(row=let), self.sql.tenant) if let else condition

    def as_row(self, condition: Condition) -> str:
        """A condition as one on the row ``r``."""
        return condition.row or condition.test("r.rid", self.sql.tenant)

    def _permitted(self, resource_type: str) -> bool:
        return self.joined.reaches(resource_type)

    def _clause(self, clause: Clause, resource_type: str) -> Condition:
        if is_id(clause):
            return self.of_ids(clause, (resource_type,))
        return support.where(_typed(clause), self.sql, self.hasher)

    def of_ids(self, clause: Clause, resource_types: Sequence[str]) -> Condition:
        """What a clause on ids is in SQL, of resources of some types. Raises BadRequest."""
        condition = support.where(clause, self.sql, self.hasher)
        ids = [unescape(value) for value in clause.values]
        keys = [self.hasher.uncached(f"{name}/{one}") for name in resource_types for one in ids]
        # The key finds the row; the id says that it is no other resource of the same hash.
        return Condition(row=f"r.key {self._chosen(keys)} AND {condition.row}")

    def _chosen(self, keys: list[int]) -> str:
        if len(keys) == 1:
            return f"= {self.sql.bind(keys[0], 'bigint')}"
        return f"= ANY({self.sql.bind(keys, 'bigint[]')})"

    def _chain(self, chain: Chain) -> Condition:
        targets = [(name, part) for name, part in chain.targets if self._permitted(name)]
        if not targets:
            raise _forbidden(chain.text, [name for name, _ in chain.targets])
        return self.joins.chain(
            chain.parameter, [(name, self._guarded(self.condition(part, name), name)) for name, part in targets]
        )

    def _contained(self, wanted: Contained) -> Condition:
        """https://hl7.org/fhir/R4/search.html#contained"""
        places = []
        for place in range(contained.MOST):
            there = self.hasher.uncached(contained.marker_text(wanted.resource_type, place))
            found = [token_variants.condition([there], self.sql)]
            for part in wanted.parts:
                one = self.condition(_at_place(part, place), wanted.resource_type)
                # Columns of the row are those of the resource that contains it.
                found.append(replace(one, row="") if one.rids else one)
            places.append(self._all([replace(found[0], row=""), *found[1:]]))
        return self._any(places, wanted.resource_type)

    def _in_compartment(self, wanted: InCompartment) -> Condition:
        """https://hl7.org/fhir/R4/compartmentdefinition.html"""
        owner = self.hasher.uncached(wanted.owner)
        found = self.joins.member(owner, wanted.parameters)
        alone = len(wanted.parameters) == 1 and wanted.owner.startswith("Patient/")
        if alone and reference.names_row_patient(wanted.parameters[0]):
            return replace(found, row=f"r.patient = {self.sql.bind(owner, 'bigint')}")
        return found

    def _all(self, found: list[Condition]) -> Condition:
        first = next((one for one in found if one.rids), None)
        if first is None:
            return Condition(row=f"({' AND '.join(one.row for one in found)})")
        others = [one for one in found if one is not first]

        def probe(rid: str) -> str:
            return f"({' AND '.join(one.test(rid, self.sql.tenant) for one in found)})"

        tests = " AND ".join(one.test("m.rid", self.sql.tenant) for one in others) or "true"
        rows = [self.as_row(one) for one in found]
        return Condition(
            f"SELECT m.rid FROM ({first.rids}) m WHERE {tests}",
            row=f"({' AND '.join(rows)})",
            probe=probe,
            stream=f"SELECT m.rid FROM ({first.stream or first.rids}) m WHERE {tests}",
        )

    def _any(self, found: list[Condition], resource_type: str) -> Condition:
        scope = self.joins.scope(resource_type)

        def each(*, stream: bool) -> str:
            parts = (
                ((one.stream if stream else "") or one.rids)
                or f"SELECT r.rid FROM resource r WHERE {scope} AND {one.row}"
                for one in found
            )
            return " UNION ALL ".join(f"({part})" for part in parts)

        def probe(rid: str) -> str:
            return f"({' OR '.join(one.test(rid, self.sql.tenant) for one in found)})"

        row = f"({' OR '.join(self.as_row(one) for one in found)})"
        if not any(one.rids for one in found):
            return Condition(row=row)
        return Condition(each(stream=False), row=row, probe=probe, stream=each(stream=True))

    def _not(self, condition: Condition) -> Condition:
        # A comparison with NULL is neither: what is not known to hold does not hold.
        return Condition(row=f"(({self.as_row(condition)}) IS NOT TRUE)")


def _at_place(part: Filter, place: int) -> Filter:
    """A clause or chain on the contained resource at a place."""
    if isinstance(part, Clause | Chain):
        return replace(part, parameter=contained.parameter_at(part.parameter, place))
    return part


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
