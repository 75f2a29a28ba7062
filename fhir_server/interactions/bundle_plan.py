"""What a transaction is to do, as far as that can be known before it begins. https://hl7.org/fhir/R4/http.html#trules

Everything here is done once, also when the database transaction has to be run again: ids are assigned, references
between the entries rewritten, resources validated and indexed. What depends on a look-up waits for it:
bundle_lookup.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fhir_server import validation
from fhir_server.errors import BadRequest, FhirError, Invalid
from fhir_server.interactions import entry_run
from fhir_server.interactions.conditional import Criteria, criteria
from fhir_server.interactions.context import Context
from fhir_server.interactions.create import new_id
from fhir_server.interactions.entry import Entry, decided
from fhir_server.interactions.entry_problems import Problems
from fhir_server.interactions.entry_read import read_all
from fhir_server.interactions.update import expected_version
from fhir_server.interactions.write import check_whole, prepare
from fhir_server.r4 import references
from fhir_server.r4.rewriting import Name, Occurrence, find
from fhir_server.store.resources import Write


@dataclass(slots=True, eq=False)
class Planned:
    """One entry and what is known of it.

    ``id`` is what it will write to; for a conditional entry it is provisional. ``expect`` as in store.resources.Write.
    ``write`` is None where content or id wait for a look-up. ``same_as`` is an entry that creates an equal resource by
    the same criteria.
    """

    entry: Entry
    ctx: Context
    id: str = ""
    expect: int | None = None
    criteria: Criteria | None = None
    document: tuple[Any, str] | None = None
    occurrences: list[Occurrence] = field(default_factory=list)
    write: Write | None = None
    same_as: Planned | None = None

    @property
    def path(self) -> str:
        """What the entry's resource is called: "Patient/1"."""
        return f"{self.entry.resource_type}/{self.id}"


@dataclass(slots=True, eq=False)
class Plan:
    """The entries by what they do, each in the order of the bundle.

    ``waiting`` are the creates and updates that a look-up has to come before. ``links`` are the fullUrls of the entries
    that write, and ``names`` what they are called on this server, as far as it is known.
    """

    deletes: list[Planned] = field(default_factory=list)
    creates: list[Planned] = field(default_factory=list)
    updates: list[Planned] = field(default_factory=list)
    patches: list[Planned] = field(default_factory=list)
    reads: list[Planned] = field(default_factory=list)
    waiting: list[Planned] = field(default_factory=list)
    links: dict[str, Planned] = field(default_factory=dict)
    names: dict[str, Name] = field(default_factory=dict)

    @property
    def contents(self) -> Iterable[Planned]:
        """The entries that write a resource they brought."""
        return (*self.creates, *self.updates)

    @property
    def criteria(self) -> list[Criteria]:
        """What the conditional entries look for."""
        every = (*self.deletes, *self.creates, *self.updates, *self.patches)
        return [planned.criteria for planned in every if planned.criteria is not None]


def plan(ctx: Context, bundle: dict[str, Any]) -> Plan:
    """Read, decide, name, rewrite, validate and index. Raises one error for all entries: see entry_problems.py."""
    problems = Problems()
    made = Plan()
    access: dict[tuple[str, str], Context] = {}
    for entry in read_all(bundle, ctx.base_url, problems):
        try:
            key = entry.interaction, entry.resource_type
            inner = access.get(key) or access.setdefault(key, decided(ctx, entry))
            _add(made, _planned(inner, entry))
        except FhirError as error:
            problems.add(entry, error)
    _refuse_repetitions(made, problems)
    problems.raise_all()
    ctx.phases.mark("decide")
    _link(made, ctx.base_url)
    _prepare(made, problems)
    problems.raise_all()
    return made


def _planned(ctx: Context, entry: Entry) -> Planned:
    planned = Planned(entry, ctx, entry.id)
    if entry.method == "POST":
        planned.id = str(new_id())
        planned.expect = 0
        if entry.conditions.if_none_exist is not None:
            planned.criteria = criteria(entry.resource_type, entry.conditions.if_none_exist)
    elif entry.method in ("PUT", "PATCH", "DELETE"):
        planned.expect = expected_version(entry.conditions)
        if not entry.id:
            planned.criteria = criteria(entry.resource_type, entry.query or "")
        if entry.method == "PATCH":
            planned.document = entry_run.patch_document(entry)
    if entry.method == "PUT" and not entry.id:
        claimed = entry.resource.get("id")
        planned.id = claimed if isinstance(claimed, str) else str(new_id())
    return planned


def _add(made: Plan, planned: Planned) -> None:
    method = planned.entry.method
    if method == "DELETE":
        made.deletes.append(planned)
    elif method == "POST":
        made.creates.append(planned)
    elif method == "PUT":
        made.updates.append(planned)
    elif method == "PATCH":
        made.patches.append(planned)
    else:
        made.reads.append(planned)


def _refuse_repetitions(made: Plan, problems: Problems) -> None:
    """A resource may be written once, by its id or by its criteria; a fullUrl names one resource."""
    paths: dict[str, Planned] = {}
    searched: dict[str, Planned] = {}
    for planned in (*made.deletes, *made.creates, *made.updates, *made.patches):
        entry = planned.entry
        if entry.id and (first := paths.setdefault(planned.path, planned)) is not planned:
            problems.add(entry, twice(planned, first))
        if (
            planned.criteria is not None
            and (first := searched.setdefault(str(planned.criteria), planned)) is not planned
        ):
            if entry.method == first.entry.method == "POST" and entry.resource == first.entry.resource:
                planned.same_as = first
            else:
                text = f"Entry {first.entry.index} has the same criteria, so both would write the same resource."
                problems.add(entry, BadRequest(text, expression=entry.at("request")))
    for planned in (*made.creates, *made.updates, *made.patches):
        url = planned.entry.full_url
        if url and (first := made.links.setdefault(url, planned)) is not planned and planned.same_as is not first:
            text = f"Entry {first.entry.index} has the same fullUrl, so a reference to it would be ambiguous."
            problems.add(planned.entry, BadRequest(text, expression=planned.entry.at("fullUrl")))


def twice(planned: Planned, first: Planned) -> FhirError:
    """The error for two entries that write one resource. https://hl7.org/fhir/R4/http.html#trules"""
    text = f"Entry {first.entry.index} writes {first.path} too; in a transaction a resource can be written once."
    return BadRequest(text, expression=planned.entry.at("request.url"))


def _link(made: Plan, base_url: str) -> None:
    """Name what the fullUrls stand for, and put those names where the resources refer to them."""
    for url, planned in list(made.links.items()):
        if url == f"{base_url}/{planned.path}" and planned.entry.method != "POST":
            # Its name already: references to it stay as the client wrote them.
            del made.links[url]
            continue
        made.names[url] = provisional(planned)
    for planned in made.contents:
        planned.occurrences = find(planned.entry.resource, made.links, _base(planned.entry.full_url))


def provisional(planned: Planned) -> Name:
    """The name of an entry's resource before anything has been looked up."""
    target = planned.same_as or planned
    if target.entry.method == "POST":
        return Name(target.path, 1, assigned=True)
    return Name(target.path)


def _base(full_url: str) -> str:
    if not full_url.startswith("http"):
        return ""
    found = references.parse(full_url)
    return found.base if found.kind == "absolute" else ""


def waits(planned: Planned, made: Plan) -> bool:
    """Whether the content or the id depends on a look-up."""
    if planned.criteria is not None and planned.entry.method == "PUT":
        return True
    return any(
        occurrence.conditional
        or any(made.links[url].criteria is not None for url in occurrence.targets)
        or (occurrence.resolve and made.names[occurrence.targets[0]].version is None)
        for occurrence in planned.occurrences
    )


def _prepare(made: Plan, problems: Problems) -> None:
    for planned in made.contents:
        for occurrence in planned.occurrences:
            if not occurrence.conditional:
                occurrence.write(made.names)
        if planned.same_as is not None:
            continue
        if waits(planned, made):
            made.waiting.append(planned)
        else:
            planned.write = prepare_one(planned, planned.id, planned.expect, problems)
    if problems:
        # The others would be validated later, with their references resolved; the client is to hear of all at once.
        for planned in made.waiting:
            try:
                validation.validate(planned.entry.resource)
            except Invalid as error:
                problems.add(planned.entry, error)


def prepare_one(planned: Planned, resource_id: str, expect: int | None, problems: Problems) -> Write | None:
    """Validate and index what the entry writes; what is wrong with it is noted, and None returned."""
    entry = planned.entry
    try:
        if entry.method == "PUT":
            check_whole(entry.resource)
        return prepare(planned.ctx, entry.resource, resource_id, entry.method, expect)
    except FhirError as error:
        problems.add(entry, error)
        return None
