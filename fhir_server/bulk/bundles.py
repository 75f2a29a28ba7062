"""Bundles that are processed rather than stored: transaction, batch, collection. https://hl7.org/fhir/R4/bundle.html

A transaction is one, and what earlier loads have done is noted in it. The entries of a batch stand for themselves:
together as long as none fails, else each in a transaction of its own. A collection, or the result of a search, has no
requests: its resources are put at their ids, or created where they have none, with the links between them kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from fhir_server.bulk import resources
from fhir_server.bulk.resources import Candidate
from fhir_server.bulk.session import Session
from fhir_server.bulk.work import Failure, Outcome, Place
from fhir_server.errors import BadRequest, FhirError, Issue, PreconditionFailed, Unavailable
from fhir_server.interactions import transaction
from fhir_server.interactions.context import Context
from fhir_server.r4 import json

Bundle = dict[str, Any]

_REQUESTED = ("transaction", "batch")
_COLLECTED = ("collection", "searchset")
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")


class Source:
    """A Bundle of the input: ``digest`` stands for it, ``place`` is where it stands, ``bundle`` is what JSON parsed.

    ``parse`` reads it anew: a transaction writes into what it is given, and is sometimes repeated.
    """

    def __init__(self, digest: bytes, place: Place, bundle: Bundle, parse: Callable[[], Bundle]) -> None:
        self.digest = digest
        self.place = place
        self.bundle = bundle
        self._parse = parse
        self._is_untouched = True

    def untouched(self) -> Bundle:
        """The Bundle as it was sent, for a transaction to write into."""
        if self._is_untouched:
            self._is_untouched = False
            return self.bundle
        return self._parse()


def is_processed(resource: object) -> bool:
    """Whether this is a Bundle whose entries are to be loaded; any other one is a resource like the others."""
    return (
        isinstance(resource, dict)
        and resource.get("resourceType") == "Bundle"
        and resource.get("type") in _REQUESTED + _COLLECTED
    )


def load(session: Session, source: Source, only: frozenset[int] | None = None) -> Outcome:
    """Load a Bundle of which `is_processed` is true; ``only`` these entries, where they stand for themselves.

    Raises Unavailable or psycopg.Error where the database cannot be reached.
    """
    given = source.bundle.get("entry")
    entries = given if isinstance(given, list) else []
    progress = None if session.again else session.progress(source.digest)
    if progress is not None and not progress.pending:
        return Outcome(skipped=len(entries))
    kind = source.bundle["type"]
    # That "entry" is no array is for the transaction to say.
    if kind == "transaction" or not entries:
        return _load_whole(session, source, entries)
    if kind in _COLLECTED and _is_linked(entries):
        numbers = [number for number, entry in enumerate(entries) if _is_content(entry)]
        return _load_whole(session, source, entries, numbers)
    pending = range(len(entries)) if progress is None else progress.pending
    wanted = [number for number in pending if only is None or number in only]
    if kind in _COLLECTED:
        outcome = _load_collected(session, source, entries, wanted)
    else:
        outcome = _load_batch(session, source, entries, wanted)
    if only is None:
        outcome.skipped += len(entries) - len(pending)
    return outcome


def _load_whole(session: Session, source: Source, entries: list[Any], numbers: Sequence[int] | None = None) -> Outcome:
    """Run the Bundle as one transaction, all of it or nothing; of a collection, the entries with these ``numbers``."""
    total = len(entries)

    def work(context: Context, connection: psycopg.Connection) -> Outcome:
        before = session.noted(connection, source.digest)
        if before is not None and not before.pending and not session.again:
            return Outcome(skipped=total)
        bundle = source.untouched()
        transaction.run(context, bundle | {"type": "transaction"} if numbers is None else _requested(bundle, numbers))
        session.note(connection, source.digest, total, set(), before)
        return Outcome(loaded=total)

    return _attempt(session, source.place, entries, range(total) if numbers is None else numbers, work)


def _load_batch(session: Session, source: Source, entries: list[Any], wanted: list[int]) -> Outcome:
    """Run the entries together if nothing is wrong with any, else each in a transaction of its own."""
    if len(wanted) == len(entries) > 1:
        together = _load_whole(session, source, entries)
        if together.loaded or together.skipped:
            return together
        entries = source.untouched()["entry"]
    outcome = Outcome()
    for number in wanted:
        outcome.add(_load_apart(session, source, entries, number))
    return outcome


def _load_apart(session: Session, source: Source, entries: list[Any], number: int) -> Outcome:
    content = json.dumps(entries[number])

    def work(context: Context, connection: psycopg.Connection) -> Outcome:
        before = session.noted(connection, source.digest)
        pending = set(range(len(entries))) if before is None else set(before.pending)
        if number not in pending and not session.again:
            return Outcome(skipped=1)
        transaction.run(context, {"resourceType": "Bundle", "type": "transaction", "entry": [json.parse(content)]})
        session.note(connection, source.digest, len(entries), pending - {number}, before)
        return Outcome(loaded=1)

    return _attempt(session, source.place, entries, [number], work)


def _load_collected(session: Session, source: Source, entries: list[Any], wanted: list[int]) -> Outcome:
    """Load the resources of a collection or a search's result, whatever becomes of the others."""
    candidates = [
        Candidate(replace(source.place, entry=number), number, entries[number].get("resource"))
        for number in wanted
        if _is_content(entries[number])
    ]
    done = set(wanted) - {candidate.position for candidate in candidates}
    return resources.load(session, source.digest, len(entries), candidates, done)


def _is_content(entry: Any) -> bool:
    """Not so: a link without a resource, and what a server says about its search."""
    if not isinstance(entry, dict) or "resource" not in entry:
        return False
    search = entry.get("search")
    return not (isinstance(search, dict) and search.get("mode") == "outcome")


def _is_linked(entries: list[Any]) -> bool:
    """Whether entries may refer to each other by urn:uuid, which means nothing outside the Bundle."""
    return any(isinstance(entry, dict) and str(entry.get("fullUrl", "")).startswith("urn:") for entry in entries)


def _requested(bundle: Bundle, numbers: Sequence[int]) -> Bundle:
    """The Bundle with the requests that a collection lacks."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [_with_request(bundle["entry"][number]) for number in numbers],
    }


def _with_request(entry: dict[str, Any]) -> dict[str, Any]:
    resource = entry["resource"]
    named = resource if isinstance(resource, dict) else {}
    url = str(named.get("resourceType"))
    request = {"method": "POST", "url": url}
    if "id" in named:
        request = {"method": "PUT", "url": f"{url}/{named['id']}"}
    full_url = {"fullUrl": entry["fullUrl"]} if "fullUrl" in entry else {}
    return full_url | {"resource": resource, "request": request}


def _attempt(
    session: Session,
    place: Place,
    entries: list[Any],
    numbers: Sequence[int],
    work: Callable[[Context, psycopg.Connection], Outcome],
) -> Outcome:
    """Run ``work`` in a transaction. What goes wrong in it is a failure, or waits for other files.

    Raises Unavailable or psycopg.Error where the database cannot be reached.
    """
    try:
        return session.transaction(work)
    except (Unavailable, psycopg.Error) as trouble:
        if not session.answers():
            raise
        state = f" (SQLSTATE {trouble.sqlstate})" if isinstance(trouble, psycopg.Error) else ""
        error = FhirError(f"PostgreSQL cannot store this, or needs too long for it{state}.", code="exception")
    except FhirError as refusal:
        error = refusal
    except RecursionError:
        error = BadRequest("A resource is nested too deeply.", code="too-long")
    except Exception as mishap:  # noqa: BLE001 - one Bundle that we mishandle must not hold up the others
        error = resources.defect(mishap)
    failures = _by_entry(place, entries, numbers, error)
    return Outcome(waiting=failures) if isinstance(error, PreconditionFailed) else Outcome(failures=failures)


def _by_entry(place: Place, entries: list[Any], numbers: Sequence[int], error: FhirError) -> list[Failure]:
    """A failure for each entry that the error speaks of, under the number that it has in the input."""
    found: dict[int | None, list[Issue]] = {}
    for issue in error.issues:
        match = _ENTRY.match(issue.expression)
        number = numbers[int(match[1])] if match else numbers[0] if len(numbers) == 1 else None
        if match:
            issue = replace(issue, expression=f"Bundle.entry[{number}]{issue.expression[match.end() :]}")
        found.setdefault(number, []).append(issue)
    failures = []
    for number, issues in found.items():
        entry = None if number is None else entries[number]
        resource = entry.get("resource") if isinstance(entry, dict) else None
        whole = FhirError(issues=issues)
        failures.append(Failure.of(replace(place, entry=number), number or 0, resource, whole))
    return failures
