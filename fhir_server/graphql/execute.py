"""A query answered level by level: what one level needs from the store is gathered, read at once, then gone through.

https://spec.graphql.org/October2021/#sec-Execution and https://hl7.org/fhir/R4/graphql.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.graphql import introspection, navigation, schema
from fhir_server.graphql.document import Limits
from fhir_server.graphql.load import Loader, Resource
from fhir_server.graphql.plan import FieldPlan, Planner, SelectionSets
from fhir_server.graphql.problems import FieldError, GraphqlError, Path, RequestError
from fhir_server.r4 import references

Out = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where values go: into ``out``, an object of the answer; ``collated`` under a list that @flatten took away."""

    out: Out
    path: Path
    collated: bool = False

    def below(self, out: Out, *steps: str | int) -> _Place:
        return _Place(out, self.path + steps)


@dataclass(frozen=True, slots=True)
class _Job:
    """A field that waits for the store.

    ``wants`` names the resource it reads (of this ``version``, if it must be), or the one that others refer to.
    """

    plan: FieldPlan
    place: _Place
    wants: str
    version: str = ""


@dataclass(slots=True)
class Execution:
    """One query under way. After `run`, ``errors`` says why fields are null."""

    planner: Planner
    loader: Loader
    limits: Limits
    errors: list[GraphqlError] = field(default_factory=list)
    _jobs: list[_Job] = field(default_factory=list)
    _values: int = 0
    _budget: navigation.Budget = field(default_factory=navigation.Budget)
    _base_url: str = ""
    _root: str = ""

    def run(self, type_name: str, value: Resource, sets: SelectionSets) -> Out:
        """The answer's data for a value of a type: a resource, or {} of the type Query. Raises RequestError."""
        self._base_url = self.loader.ctx.base_url + "/"
        self._root = type_name
        data: Out = {}
        self._walk(value, type_name, value, sets, _Place(data, ()))
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            self._settle(jobs)
        return data

    def _walk(self, value: Out, type_name: str, resource: Resource, sets: SelectionSets, place: _Place) -> None:
        """Answer the selections on one value. ``resource`` is the stored resource around it."""
        for plan in self.planner.fields(type_name, sets):
            if plan.plain and not place.collated:
                found = value.get(plan.field.name)
                self._spend(len(found) if isinstance(found, list) else 1)
                place.out[plan.key] = found
                continue
            try:
                self._field(plan, value, type_name, resource, place)
            except FieldError as error:
                self._fail(error, plan, place)

    def _fail(self, error: FieldError, plan: FieldPlan, place: _Place) -> None:
        if len(self.errors) >= self.limits.errors:
            raise RequestError(f"More than {self.limits.errors} fields have no value.", code="too-costly") from None
        error.path = (*place.path, plan.key)
        self.errors.append(error)
        place.out.setdefault(plan.key, None)

    def _field(self, plan: FieldPlan, value: Out, type_name: str, resource: Resource, place: _Place) -> None:
        kind = plan.field.kind
        if kind == "typename":
            place.out[plan.key] = schema.graphql_name(type_name)
        elif kind in ("primitive", "object"):
            found = value.get(plan.field.name)
            if callable(found):
                found = found()
            if found == [] and not place.collated:
                place.out[plan.key] = []
                return
            items = found if isinstance(found, list) else [] if found is None else [found]
            # Only the edge of a connection has a whole resource as a property.
            self._emit(plan, items, resource, place, stored=schema.is_resource(plan.field.type))
        elif kind == "meta":
            name = plan.arguments.get("name")
            found = introspection.type_of(str(name)) if name else introspection.schema_of(self._root)
            self._emit(plan, [found] if found else [], {}, place)
        else:
            if not plan.flatten:
                # The key has its place in the order of the query, whenever the value comes.
                place.out.setdefault(plan.key, None)
            self._jobs += self._job(plan, value, resource, place)

    def _job(self, plan: FieldPlan, value: Out, resource: Resource, place: _Place) -> Iterable[_Job]:
        kind = plan.field.kind
        if kind == "id":
            yield _Job(plan, place, f"{plan.field.type}/{plan.arguments.get('id', plan.arguments.get('_id'))}")
        elif kind == "reference":
            yield from self._reference(plan, value, resource, place)
        elif value is resource:
            yield _Job(plan, place, f"{value['resourceType']}/{value['id']}" if value else "")

    def _reference(self, plan: FieldPlan, value: Out, resource: Resource, place: _Place) -> Iterable[_Job]:
        written = value.get("reference")
        if not isinstance(written, str):
            return
        found = references.parse(written.removeprefix(self._base_url))
        if found.kind == "fragment":
            inside = [c for c in resource.get("contained", ()) if c.get("id") == found.id] if found.id else [resource]
            if inside and plan.arguments.get("type") in (None, inside[0]["resourceType"]):
                self._emit(plan, inside[:1], resource, place)
            elif not inside and not plan.arguments.get("optional"):
                raise FieldError("The resource holds no resource of this id.", plan.node, code="not-found")
        elif found.kind == "relative":
            if plan.arguments.get("type") in (None, found.type):
                yield _Job(plan, place, f"{found.type}/{found.id}", found.version)
        elif not plan.arguments.get("optional"):
            raise FieldError("The reference leads to no resource of this server.", plan.node, code="not-found")

    def _emit(
        self, plan: FieldPlan, items: Sequence[Any], resource: Resource, place: _Place, *, stored: bool = False
    ) -> None:
        """Write the values of a field. ``stored``: each is a stored resource itself, not a part of ``resource``."""
        kind = plan.field.type
        chosen = list(items)
        if plan.field.kind in ("primitive", "object"):
            chosen = navigation.chosen(plan, chosen, kind, resource, self._budget)
        elif plan.first:
            chosen = chosen[:1]
        if plan.flatten:
            collated = (place.collated or plan.field.repeats) and not plan.singleton
            for item in chosen:
                if item is not None:
                    into = _Place(place.out, place.path, collated)
                    self._walk(item, _type_of(item, kind), item if stored else resource, plan.selections, into)
            return
        if plan.slice:
            for position, item in enumerate(chosen):
                key = navigation.slice_name(plan, position, item, kind, resource, self._budget)
                self._set(plan, key, [self._complete(plan, item, resource, place.below({}, key), stored)], place, False)
            return
        repeats = plan.field.repeats and not plan.singleton
        steps: list[tuple[str | int, ...]] = [(plan.key, n) if repeats else (plan.key,) for n in range(len(chosen))]
        values = [
            self._complete(plan, item, resource, place.below({}, *step), stored)
            for item, step in zip(chosen, steps, strict=True)
        ]
        self._set(plan, plan.key, values, place, repeats)

    def _set(self, plan: FieldPlan, key: str, values: list[Any], place: _Place, repeats: bool) -> None:
        out = place.out
        if place.collated and not plan.singleton:
            out[key] = [*(out.get(key) or ()), *values]
        elif repeats:
            # An element that is not there has no list in FHIR either; what a search finds is a list in any case.
            out[key] = values if values or plan.field.kind == "list" else out.get(key)
        elif len(values) > 1 or (values and out.get(key) is not None):
            raise FieldError(f"There is more than one value for {key}.", plan.node, code="multiple-matches")
        else:
            out[key] = values[0] if values else out.get(key)

    def _complete(self, plan: FieldPlan, item: Any, resource: Resource, place: _Place, stored: bool) -> Any:
        self._spend(1)
        if item is None or plan.field.kind == "primitive":
            return item
        self._walk(item, _type_of(item, plan.field.type), item if stored else resource, plan.selections, place)
        return place.out

    def _spend(self, values: int) -> None:
        self._values += values
        if self._values > self.limits.values:
            raise RequestError(
                f"The answer has more than {self.limits.values} values; ask for less at a time.", code="too-costly"
            )

    def _settle(self, jobs: Sequence[_Job]) -> None:
        """Read what a level waits for, and go through it."""
        self.loader.read(job.wants for job in jobs if job.plan.field.kind in ("id", "reference"))
        referring = self._referring([job for job in jobs if job.plan.field.kind == "list"])
        for job in jobs:
            try:
                self._answer(job, referring)
            except FieldError as error:
                self._fail(error, job.plan, job.place)

    def _referring(self, jobs: Sequence[_Job]) -> dict[tuple[int, str], list[Resource] | FieldError]:
        """The lists that one field of the query has at the resources of this level, read together."""
        groups: dict[int, list[_Job]] = {}
        for job in jobs:
            if job.wants and not any(name == "_sort" for name, _ in job.plan.criteria):
                groups.setdefault(id(job.plan), []).append(job)
        found: dict[tuple[int, str], list[Resource] | FieldError] = {}
        for number, group in groups.items():
            owners = list(dict.fromkeys(job.wants for job in group))
            try:
                lists = self.loader.referring(group[0].plan, owners)
                found |= {(number, owner): resources for owner, resources in lists.items()}
            except FieldError as error:
                found |= dict.fromkeys(((number, owner) for owner in owners), error)
        return found

    def _answer(self, job: _Job, referring: dict[tuple[int, str], list[Resource] | FieldError]) -> None:
        plan, kind = job.plan, job.plan.field.kind
        if kind == "connection":
            total = any(p.field.name == "count" for p in self.planner.fields(plan.field.type, plan.selections))
            page = self.loader.connection(plan, job.wants, total=total)
            self._emit(plan, [page], page, job.place)
        elif kind == "list":
            items = referring.get((id(plan), job.wants))
            if isinstance(items, FieldError):
                raise FieldError(items.message, plan.node, code=items.code)
            self._emit(
                plan, self.loader.search(plan, job.wants) if items is None else items, {}, job.place, stored=True
            )
        else:
            found = self.loader.resource(job.wants)
            if found is not None and job.version in ("", found["meta"]["versionId"]):
                self._emit(plan, [found], found, job.place, stored=True)
            elif not plan.arguments.get("optional"):
                raise self._absent(job)

    def _absent(self, job: _Job) -> FieldError:
        resource_type = job.wants.partition("/")[0]
        if not self.loader.may_read(job.wants):
            return FieldError(
                f"The access_token does not permit read on {resource_type}; the scope system/{resource_type}.r would.",
                job.plan.node,
                code="forbidden",
            )
        if self.loader.resource(job.wants) is not None:
            message = f"The reference is to version {job.version}, which is not the current one; read it over REST."
            return FieldError(message, job.plan.node, code="not-supported")
        return FieldError("There is no such resource.", job.plan.node, code="not-found")


def _type_of(item: Any, declared: str) -> str:
    """The type of a value: a resource tells it itself, where any may stand."""
    return str(item["resourceType"]) if declared == "Resource" else declared
