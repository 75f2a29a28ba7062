"""What the fields of one level need from the store, read together. https://hl7.org/fhir/R4/graphql.html

References of one level are one statement, whatever the number of resources that refer; searches for resources that
refer back to several are one statement for each field of the query. Every resource passes the access decision of its
own type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from fhir_server.access.policy import Access
from fhir_server.errors import FhirError
from fhir_server.graphql.document import Limits
from fhir_server.graphql.plan import FieldPlan
from fhir_server.graphql.problems import FieldError, RequestError
from fhir_server.graphql.schema import searched_type
from fhir_server.interactions import search
from fhir_server.interactions.context import Context
from fhir_server.interactions.masking import masks
from fhir_server.interactions.search_bundle import applied_pairs
from fhir_server.interactions.search_page import joined_access
from fhir_server.r4 import definitions, json
from fhir_server.r4.compose import compose
from fhir_server.search import by_key, matching
from fhir_server.search.parse import parse

Resource = dict[str, Any]


@dataclass(slots=True)
class Loader:
    """Reads for one request, within its limits; every resource read counts, and none is read twice by its id.

    Raises RequestError where a limit is passed, FieldError where a field has no value.
    """

    ctx: Context
    limits: Limits
    resources: int = 0
    searches: int = 0
    _known: dict[str, Resource | None] = field(default_factory=dict)

    def know(self, name: str, resource: Resource) -> None:
        """Remember a resource that was read otherwise."""
        self._known[name] = resource

    def read(self, names: Iterable[str]) -> None:
        """Read the resources of these names ("Patient/1") that the caller may read, those not known yet, at once."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._known and self.may_read(name)]
        if not wanted:
            return
        self._count(len(wanted))
        store = self.ctx.store
        keys = [store.hasher(name) for name in wanted]
        access = store.in_force(self._reading(wanted))
        statement = by_key.by_keys(store.tenant_id, access, store.hasher, keys)
        found = self._rows(store.search(*statement, plan_kept=True))
        self._known |= dict.fromkeys(wanted) | {f"{r['resourceType']}/{r['id']}": r for r, _ in found}

    def resource(self, name: str) -> Resource | None:
        """A resource that `read` has been asked for; None where there is none within reach."""
        return self._known.get(name)

    def may_read(self, name: str) -> bool:
        """Whether the caller may read resources of this name's type at all."""
        resource_type = name.partition("/")[0]
        return resource_type not in masks(self.ctx) and not self.ctx.decide("read", resource_type).nothing

    def search(self, plan: FieldPlan, owner: str) -> list[Resource]:
        """What a field such as PatientList finds: all of it, or as many as ``_count`` says.

        ``owner`` ("Patient/1") is the resource that they refer to, "" at the root.
        """
        given = any(name == "_count" for name, _ in plan.criteria)
        pairs = list(plan.criteria) if given else [*plan.criteria, ("_count", str(self._left() + 1))]
        bundle = self._searched(plan, [*pairs, *([(plan.reference, owner)] if owner else [])])
        if not given and _next(bundle):
            raise RequestError(
                f"{plan.field.name} finds more resources than a query may read; give _count, or go through pages with "
                f"{searched_type(plan.field.name)}Connection.",
                plan.node,
                code="too-costly",
            )
        return [entry["resource"] for entry in _matches(bundle)]

    def connection(self, plan: FieldPlan, owner: str, *, total: bool) -> dict[str, Any]:
        """A page of a search with the cursors of its neighbours. https://hl7.org/fhir/R4/graphql.html#searching

        ``total`` says whether the number of all matches is asked for.
        """
        cursor = plan.arguments.get("_cursor")
        pairs = [*plan.criteria, *([(plan.reference, owner)] if owner else [])]
        if cursor is None:
            bundle = self._searched(plan, [*pairs, *([("_total", "accurate")] if total else [])])
        else:
            self._check_cursor(plan, str(cursor), pairs)
            bundle = self._searched(plan, [("_cursor", str(cursor))])
        matches = _matches(bundle)
        links = {link["relation"]: link["url"].partition("_cursor=")[2] or None for link in bundle.get("link", ())}
        edges = [
            {"mode": "match", "score": entry["search"].get("score"), "resource": entry["resource"]} for entry in matches
        ]
        return {"count": bundle.get("total"), "pagesize": len(edges), "edges": edges} | {
            name: links.get(name) for name in ("first", "previous", "next", "last")
        }

    def _check_cursor(self, plan: FieldPlan, cursor: str, pairs: list[tuple[str, str]]) -> None:
        """A cursor goes on with the search that it comes from: the other arguments must be the same."""
        resource_type = searched_type(plan.field.name)
        try:
            continued = search.continued_pairs(self.ctx, resource_type, cursor)
            query = parse(resource_type, pairs, limits=self.ctx.limits.search, registry=self.ctx.registry)
            same = set(applied_pairs(search.prepared(self.ctx, query))) == {p for p in continued if p[0] != "_total"}
        except FhirError as error:
            raise FieldError(error.issues[0].diagnostics, plan.node, code=error.issues[0].code) from None
        if not same:
            raise FieldError("This _cursor goes on with another search: give the same arguments.", plan.node)

    def _searched(self, plan: FieldPlan, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        resource_type = searched_type(plan.field.name)
        access = self._begin(plan)
        try:
            body = search.run(self.ctx.within(self.ctx.store, access), resource_type, pairs).body
        except FhirError as error:
            raise FieldError(error.issues[0].diagnostics, plan.node, code=error.issues[0].code) from None
        bundle: dict[str, Any] = json.parse(body or b"{}")
        self._count(len(_matches(bundle)))
        return bundle

    def referring(self, plan: FieldPlan, owners: Sequence[str]) -> dict[str, list[Resource]]:
        """What a field such as ObservationList finds for each of several resources, in one statement, newest first."""
        resource_type = searched_type(plan.field.name)
        access = self._begin(plan)
        ctx = self.ctx.within(self.ctx.store, access)
        store = ctx.store
        counts = [value for name, value in plan.criteria if name == "_count"]
        if len(counts) > 1 or not all(value.isascii() and value.isdigit() for value in counts):
            raise FieldError("_count is one whole number.", plan.node)
        most = int(counts[0][:9]) if counts else self._left() + 1
        criteria = [pair for pair in plan.criteria if pair[0] != "_count"]
        limits = replace(self.ctx.limits.search, max_length=1_000_000, max_values=100_000)
        try:
            back = (plan.reference, ",".join(owners))
            query = parse(resource_type, [*criteria, back], limits=limits, registry=ctx.registry)
            matches, sql = matching.matches(
                search.prepared(ctx, query), store.in_force(access), store.tenant_id, store.hasher, joined_access(ctx)
            )
        except FhirError as error:
            raise FieldError(error.issues[0].diagnostics, plan.node, code=error.issues[0].code) from None
        found: dict[str, list[Resource]] = {owner: [] for owner in owners}
        if not matches:
            return found
        by_target = {store.hasher(owner): owner for owner in owners}
        param = ctx.registry.parameters(resource_type)[plan.reference].param
        text = by_key.referring(matches, sql, param, list(by_target), most, self._left() + 1)
        rows = self._rows(store.search(text, sql.values))
        self._count(len(rows))
        for resource, target in rows:
            found[by_target[target]].append(resource)
        return found

    def _left(self) -> int:
        return max(self.limits.resources - self.resources, 0)

    def _reading(self, names: Sequence[str]) -> Access:
        """What may be read of the types of these names, each decided by itself."""
        types = sorted({name.partition("/")[0] for name in names})
        decided = [self.ctx.decide("read", resource_type).visible for resource_type in types]
        return Access(tuple(rule for access in decided for rule in access.rules))

    def _rows(self, result: Any) -> list[tuple[Resource, int]]:
        """The resources of a result, each with its last column."""
        get, width = result.get_value, len(by_key.COLUMNS)
        found = []
        for row in range(result.ntuples):
            resource_type = _type_names()[int(get(row, 1) or 0)]
            if (patient := get(row, 7)) is not None:
                self.ctx.trace.patients.add(int(patient))
            version, last_updated = int(get(row, 3) or 0), int(get(row, 4) or 0)
            identity = (get(row, 2) or b"").decode()
            body = compose(resource_type, identity, version, last_updated, get(row, 5), get(row, 6) or b"{}")
            target = int(get(row, width) or 0) if result.nfields > width else 0
            found.append((json.parse(body), target))
        return found

    def _begin(self, plan: FieldPlan) -> Access:
        resource_type = searched_type(plan.field.name)
        access = self.ctx.decide("search-type", resource_type)
        if resource_type in masks(self.ctx):
            raise FieldError(
                f"{resource_type} is shown to the caller in part, which GraphQL cannot do; read it, or search for it.",
                plan.node,
                code="forbidden",
            )
        if access.nothing:
            raise FieldError(
                f"The access_token does not permit search-type on {resource_type}; "
                f"the scope system/{resource_type}.s would.",
                plan.node,
                code="forbidden",
            )
        self.searches += 1
        if self.searches > self.limits.searches:
            raise RequestError(
                f"The query takes more than {self.limits.searches} searches; ask for less at a time.", code="too-costly"
            )
        return access

    def _count(self, number: int) -> None:
        self.resources += number
        if self.resources > self.limits.resources:
            raise RequestError(
                f"The query reads more than {self.limits.resources} resources; give _count, or ask for less at a time.",
                code="too-costly",
            )


@cache
def _type_names() -> dict[int, str]:
    return {number: name for name, number in definitions.load().type_ids.items()}


def _matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]


def _next(bundle: dict[str, Any]) -> bool:
    return any(link["relation"] == "next" for link in bundle.get("link", ()))
