"""A batch of NDJSON lines, each a resource or a Bundle to be processed. https://hl7.org/fhir/R4/nd-json.html"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from fhir_server.bulk import bundles, resources
from fhir_server.bulk.resources import Candidate
from fhir_server.bulk.session import Session
from fhir_server.bulk.work import Failure, LoadLines, Outcome, Place
from fhir_server.errors import BadRequest, FhirError, TooLarge
from fhir_server.r4 import json


def load(session: Session, work: LoadLines) -> Outcome:
    """Load the lines that are not loaded yet, all plain resources among them in one transaction.

    Raises Unavailable where the database cannot be reached, Conflict where others write the same without end.
    """
    total = len(work.lines)
    progress = None if session.again else session.progress(work.digest)
    positions = range(total) if progress is None else progress.pending
    blank = {position for position in positions if not _is_text(work.lines[position])}
    wanted = [p for p in positions if p not in blank and (work.only is None or p in work.only)]
    outcome = Outcome(skipped=total - len(positions) if work.only is None else 0)
    if not wanted:
        return outcome
    candidates: list[Candidate] = []
    done = set(blank)
    for position in wanted:
        place = Place(work.path, line=work.first + position)
        try:
            resource = _parsed(work.lines[position], session.limit)
        except FhirError as error:
            outcome.failures.append(Failure.of(place, position, None, error))
            continue
        if bundles.is_processed(resource):
            # Noted by itself first: should the process end here, the batch comes again and finds it done.
            part = _bundle(session, work, place, position, resource)
            outcome.add(part)
            if not part.failures and not part.waiting:
                done.add(position)
        else:
            candidates.append(Candidate(place, position, resource))
    outcome.add(resources.load(session, work.digest, total, candidates, done))
    return outcome


def _is_text(line: bytes | None) -> bool:
    return line is None or bool(line.strip())


def _parsed(line: bytes | None, limit: int) -> Any:
    if line is None:
        raise TooLarge(f"The line is longer than {limit} bytes (MAX_BODY_BYTES).")
    try:
        return json.parse(line)
    except ValueError as error:
        raise BadRequest(f"The line is not JSON: {error}.", code="structure") from None


def _bundle(session: Session, work: LoadLines, place: Place, position: int, bundle: bundles.Bundle) -> Outcome:
    digest = hashlib.sha256(work.digest + b"line %d" % position).digest()
    source = bundles.Source(digest, place, bundle, lambda: _parsed(work.lines[position], session.limit))
    found = bundles.load(session, source)
    # What comes again is the line, whichever of its entries failed.
    found.failures = [replace(failure, position=position) for failure in found.failures]
    found.waiting = [replace(failure, position=position) for failure in found.waiting]
    return found
