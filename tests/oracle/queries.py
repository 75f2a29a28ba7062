"""Searches drawn at random over everything that the oracle can evaluate. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.oracle import compartments
from tests.oracle.evaluate import SETS, Universe, knows
from tests.oracle.parameters import PARAMETERS, Parameter
from tests.oracle.pools import MOMENTS, PREFIXES, Pools
from tests.oracle.query import Chain, Clause, Combined, Filter, Has, Include, Negated, Search, Written

TYPES = tuple(PARAMETERS)
_FAVOURED = ("Observation", "Patient", "Encounter", "Condition", "Observation", "Patient")
"""Types that are searched more often than others."""

MOST_TARGETS = 6
"""Chains by a reference to more types name the type that they mean."""

MODIFIERS: dict[str, tuple[str, ...]] = {
    "string": ("", "", "exact", "contains", "text"),
    "token": ("", "", "", "not"),
    "uri": ("", "above", "below"),
}


def _reference_modifiers(parameter: Parameter) -> tuple[str, ...]:
    return ("", "", "", "identifier", *(parameter.targets if len(parameter.targets) < 6 else ()))


class Queries:
    """The strategies, over one universe; ``depth`` is how many joins a chain has at most."""

    def __init__(self, universe: Universe, depth: int = 2) -> None:
        self.universe = universe
        self.depth = depth
        self.pools = Pools(universe)
        self.references = {
            name: [code for code, one in found.items() if one.kind == "reference" and not _canonical(one)]
            for name, found in PARAMETERS.items()
        }
        self.referring = {
            name: [
                (source, code)
                for source, codes in self.references.items()
                for code in codes
                if any(universe.referring(key, source, code) for key in universe.of_type(name))
            ]
            for name in TYPES
        }

    def types(self) -> st.SearchStrategy[str]:
        """A resource type."""
        return st.sampled_from([*TYPES, *_FAVOURED])

    @st.composite
    @staticmethod
    def _clause(draw: st.DrawFn, self: Queries, resource_type: str, witness: str) -> Clause:
        code = draw(st.sampled_from([*PARAMETERS[resource_type], "_lastUpdated", "_list", "_in"]))
        if code in ("_list", "_in"):
            owners = (
                self.universe.of_type("List") if code == "_list" else self.universe.of_type("List", "Group", "CareTeam")
            )
            near = [one for one in owners if witness in self.universe.listed(one)]
            return Clause(code, "", tuple(draw(st.lists(st.sampled_from(near or owners), min_size=1, max_size=2))))
        if code == "_lastUpdated":
            # "ap" goes by the time that has passed since, which is hardly any yet.
            prefix = draw(st.sampled_from([one for one in PREFIXES if one != "ap"]))
            return Clause(code, "", (prefix + draw(st.sampled_from(self._instants())),))
        parameter = PARAMETERS[resource_type][code]
        modifier = draw(st.sampled_from(self._modifiers(code, parameter)))
        if modifier == "missing":
            return Clause(code, modifier, (draw(st.sampled_from(["true", "false"])),))
        near = witness and draw(st.sampled_from([True] * 7 + [False]))
        found = self.pools.own(witness, code, modifier) if near else self.pools.of(resource_type, code, modifier)
        pool = st.sampled_from(found)
        most = draw(st.sampled_from([1, 1, 1, 2, 3]))
        return Clause(code, modifier, tuple(draw(st.lists(pool, min_size=1, max_size=most))))

    def modifiers(self, resource_type: str, code: str) -> list[str]:
        """The modifiers that a parameter is searched with, "" among them."""
        return sorted(set(self._modifiers(code, PARAMETERS[resource_type][code])))

    def _instants(self) -> Sequence[str]:
        return sorted({*self.universe.updated.values(), *MOMENTS, "2100"})

    def _modifiers(self, code: str, parameter: Parameter) -> tuple[str, ...]:
        if code == "_id":
            return ("",)
        if parameter.kind == "words":
            return ("",)
        if code == "patient":
            return ("", "", "identifier", "Patient", "missing")
        found = MODIFIERS.get(parameter.kind, ("", ""))
        if parameter.kind == "reference":
            found = _reference_modifiers(parameter) if not _canonical(parameter) else ("", "")
        if parameter.kind == "token" and all(path.endswith(":Identifier") for path in parameter.paths):
            found = (*found, "of-type")
        if parameter.kind == "token" and all(
            path.endswith((":CodeableConcept", ":Coding")) for path in parameter.paths
        ):
            found = (*found, *SETS, "text")
        return (*found, "missing")

    def clause(self, resource_type: str, witness: str = "") -> st.SearchStrategy[Filter]:
        """A parameter of a type, with its modifier and values, mostly such as the resource ``witness`` has."""
        return Queries._clause(self, resource_type, witness)

    @st.composite
    @staticmethod
    def _filter(draw: st.DrawFn, self: Queries, resource_type: str, depth: int, witness: str) -> Filter:
        kind = draw(st.sampled_from(["clause", "clause", "clause", "chain", "has"])) if depth else "clause"
        if kind == "chain" and self.references[resource_type]:
            return self._chain(draw, resource_type, depth, witness)
        if kind == "has" and self.referring[resource_type]:
            source, code = draw(st.sampled_from(self.referring[resource_type]))
            others = self.universe.referring(witness, source, code) if witness else []
            near = draw(st.sampled_from(others)) if others else ""
            return Has(source, code, draw(self.filter(source, depth - 1, near)))
        return draw(self.clause(resource_type, witness))

    def _chain(self, draw: st.DrawFn, resource_type: str, depth: int, witness: str) -> Chain:
        edges = [
            (code, other)
            for code in self.references[resource_type]
            for other in (self.universe.referred(witness, code) if witness else [])
        ]
        if edges and draw(st.sampled_from([True] * 7 + [False])):
            code, near = draw(st.sampled_from(edges))
            to = near.partition("/")[0]
        else:
            code, near = draw(st.sampled_from(self.references[resource_type])), ""
            to = draw(st.sampled_from(PARAMETERS[resource_type][code].targets))
        part = draw(self.filter(to, depth - 1, near))
        targets = PARAMETERS[resource_type][code].targets
        untyped = len(targets) <= MOST_TARGETS and all(_same(to, one, part) for one in targets if knows(one, part))
        return Chain(code, "" if untyped and draw(st.booleans()) else to, part)

    def filter(self, resource_type: str, depth: int = 2, witness: str = "") -> st.SearchStrategy[Filter]:
        """A clause, or a chain or reverse chain of at most ``depth`` joins; mostly one that ``witness`` meets."""
        return Queries._filter(self, resource_type, depth, witness)

    @st.composite
    @staticmethod
    def _written(draw: st.DrawFn, self: Queries, resource_type: str, depth: int, witness: str) -> Filter:
        kind = draw(st.sampled_from(["test"] * 4 + ["and", "or", "not", "bracket"])) if depth else "test"
        if kind in ("and", "or"):
            parts = st.lists(self._part(resource_type, depth - 1, witness), min_size=2, max_size=3)
            return Combined(kind, tuple(draw(parts)))
        if kind == "not":
            return Negated(draw(self._part(resource_type, depth - 1, witness)))
        if kind == "bracket" and self.references[resource_type]:
            chain = self._chain(draw, resource_type, 1, witness)
            if chain.to:
                return Chain(
                    chain.code,
                    chain.to,
                    Combined("and", (draw(self._test(chain.to, "")), draw(self._test(chain.to, "")))),
                )
        return draw(self._test(resource_type, witness))

    def _part(self, resource_type: str, depth: int, witness: str) -> st.SearchStrategy[Filter]:
        return Queries._written(self, resource_type, depth, witness)

    def _test(self, resource_type: str, witness: str) -> st.SearchStrategy[Filter]:
        """A clause or chain in the form that a _filter can write."""
        return self.filter(resource_type, 1, witness).flatmap(lambda found: self._as_test(resource_type, found))

    @st.composite
    @staticmethod
    def _tested(draw: st.DrawFn, self: Queries, resource_type: str, found: Filter) -> Filter:
        if isinstance(found, Chain):
            if not found.to:
                found = Chain(found.code, PARAMETERS[resource_type][found.code].targets[0], found.part)
                found = Chain(found.code, found.to, draw(self.clause(found.to)))
            return Chain(found.code, found.to, draw(self._as_test(found.to, found.part)))
        if isinstance(found, Has):
            return Has(found.source, found.code, draw(self._as_test(found.source, found.part)))
        assert isinstance(found, Clause), found
        if found.code in ("_list", "_in", "_text", "_content"):
            return Clause("_id", "", ("1",), "token")
        kind = "date" if found.code == "_lastUpdated" else PARAMETERS[resource_type][found.code].kind
        modifier = found.modifier
        if kind == "string" and not modifier:
            modifier = draw(st.sampled_from(["", "=eq", "=ew", "=gt", "=ge", "=lt", "=le"]))
        if kind == "date" and not modifier and found.code != "_lastUpdated" and draw(st.booleans()):
            return Clause(found.code, "=po", (draw(st.sampled_from(MOMENTS)),), kind)
        return Clause(found.code, modifier, found.values[:1], kind)

    def _as_test(self, resource_type: str, found: Filter) -> st.SearchStrategy[Filter]:
        return Queries._tested(self, resource_type, found)

    def filter_text(self, resource_type: str, witness: str = "") -> st.SearchStrategy[Filter]:
        """A whole _filter."""
        return self._part(resource_type, 3, witness).map(Written)

    @st.composite
    @staticmethod
    def _includes(draw: st.DrawFn, self: Queries, resource_type: str, most: int) -> tuple[Include, ...]:
        reached = [resource_type]
        found: list[Include] = []
        for _ in range(draw(st.integers(0, most))):
            reverse, iterate = draw(st.booleans()), draw(st.sampled_from([False, False, True]))
            start = draw(st.sampled_from(reached)) if iterate else resource_type
            if reverse and self.referring[start]:
                source, code = draw(st.sampled_from(self.referring[start]))
                found.append(Include(source, code, draw(st.sampled_from(["", start])), True, iterate))
                reached.append(source)
            elif self.references[start]:
                code = draw(st.sampled_from([*self.references[start], "*"]))
                targets = PARAMETERS[start][code].targets if code != "*" else ()
                target = draw(st.sampled_from(["", "", *targets]))
                found.append(Include(start, code, target, False, iterate))
                reached += [target] if target else targets
        return tuple(dict.fromkeys(found))

    def includes(self, resource_type: str, most: int) -> st.SearchStrategy[tuple[Include, ...]]:
        """What to include with matches of a type, and with what is included already."""
        return Queries._includes(self, resource_type, most)

    @st.composite
    @staticmethod
    def _search(draw: st.DrawFn, self: Queries, includes: int) -> Search:
        kind = draw(st.sampled_from(["type"] * 8 + ["compartment", "compartment", "system"]))
        if kind == "system":
            return self._system(draw, includes)
        compartment = ""
        resource_type = draw(self.types())
        if kind == "compartment":
            owner = draw(st.sampled_from(list(compartments.CODES)))
            compartment = f"{owner}/{draw(st.sampled_from([*range(8), 99]))}"
            resource_type = draw(st.sampled_from(list(compartments.CODES[owner])))
        keys = self.universe.of_type(resource_type)
        inside = [key for key in keys if not compartment or self.universe.in_compartment(key, compartment)]
        witness = draw(st.sampled_from(inside or keys))
        most = draw(st.sampled_from([1, 1, 2, 3]))
        filters = tuple(draw(st.lists(self.filter(resource_type, self.depth, witness), max_size=most)))
        if draw(st.sampled_from([False] * 7 + [True])):
            filters = (*filters[:1], draw(self.filter_text(resource_type, witness)))
        return Search(
            (resource_type,),
            filters,
            compartment=compartment,
            includes=draw(self.includes(resource_type, includes)),
            sort=draw(self.sort(resource_type)),
            count=draw(st.sampled_from([1, 2, 3, 5, 10, 20, 50, 100])),
        )

    def _system(self, draw: st.DrawFn, includes: int) -> Search:
        """Several types at once, by parameters that all of them have, now and then within a compartment."""
        compartment, known = "", list(TYPES)
        if draw(st.booleans()):
            owner = draw(st.sampled_from(list(compartments.CODES)))
            compartment, known = f"{owner}/{draw(st.integers(0, 7))}", list(compartments.CODES[owner])
        types = tuple(draw(st.lists(st.sampled_from(known), min_size=2, max_size=4, unique=True)))
        common = [code for code in PARAMETERS[types[0]] if all(_alike(types[0], other, code) for other in types)]
        filters: list[Filter] = []
        for _ in range(draw(st.integers(0 if compartment else 1, 2))):
            code = draw(st.sampled_from(common))
            pool = sorted({value for name in types for value in self.pools.of(name, code)})
            filters.append(Clause(code, "", (draw(st.sampled_from(pool)),)))
        sort = tuple((code, draw(st.booleans())) for code in draw(st.sampled_from([[], ["_lastUpdated"], ["_id"]])))
        return Search(
            types,
            tuple(filters),
            sort=sort,
            compartment=compartment,
            includes=draw(self.includes(types[0], min(includes, 1))),
            system=True,
            count=draw(st.sampled_from([2, 5, 50])),
        )

    @st.composite
    @staticmethod
    def _sort(draw: st.DrawFn, self: Queries, resource_type: str) -> tuple[tuple[str, bool], ...]:
        codes = [*self.sortable(resource_type), "_lastUpdated"]
        keys = draw(st.lists(st.sampled_from(codes), max_size=3, unique=True))
        return tuple((code, draw(st.booleans())) for code in keys)

    @staticmethod
    def sortable(resource_type: str) -> list[str]:
        """The parameters that resources of a type can be sorted by."""
        return [
            code
            for code, one in PARAMETERS[resource_type].items()
            if one.kind not in ("composite", "near", "words") and not _canonical(one)
        ]

    def sort(self, resource_type: str) -> st.SearchStrategy[tuple[tuple[str, bool], ...]]:
        """Sort keys with their directions; often none."""
        return st.just(()) | Queries._sort(self, resource_type)

    def search(self, includes: int = 3) -> st.SearchStrategy[Search]:
        """A whole search."""
        return Queries._search(self, includes)


def _canonical(parameter: Parameter) -> bool:
    return all(path.endswith(":canonical") for path in parameter.paths)


def _alike(one: str, other: str, code: str) -> bool:
    first, second = PARAMETERS[one][code], PARAMETERS[other].get(code)
    return (
        second is not None
        and first.kind == second.kind
        and first.kind != "composite"
        and first.targets == second.targets
    )


def _same(one: str, other: str, part: Filter) -> bool:
    """Whether a part that was drawn for a type may be asked of another as well: same kind, same targets."""
    if isinstance(part, Clause) and part.code in ("_lastUpdated", "_list", "_in"):
        return True
    if isinstance(part, Has):
        return False
    return _alike(one, other, part.code) and (not isinstance(part, Chain) or part.to != "")
