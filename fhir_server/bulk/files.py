"""A file that holds one document: a resource, or a Bundle to be processed. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

from fhir_server.bulk import batches, bundles, resources, sources
from fhir_server.bulk.resources import Candidate
from fhir_server.bulk.session import Session
from fhir_server.bulk.work import Failure, LoadFile, Outcome, Place
from fhir_server.errors import BadRequest, FhirError
from fhir_server.r4 import json


def load(session: Session, work: LoadFile) -> Outcome:
    """Load the document, or answer that the file is NDJSON.

    Raises Unavailable or psycopg.Error where the database cannot be reached, Conflict where others write without end.
    """
    place = Place(work.path)
    try:
        with sources.opened(work.path, session.limit) as source:
            content = source.document()
        if content is None:
            return Outcome(is_ndjson=True)
        digest = batches.of_document(content)
        progress = None if session.again else session.progress(digest)
        if progress is not None and not progress.pending:
            return Outcome(skipped=progress.resources)
        resource = json.parse(content)
    except FhirError as error:
        return Outcome(failures=[Failure.of(place, 0, None, error)])
    except ValueError as error:
        problem = BadRequest(f"The file holds no JSON document: {error}.", code="structure")
        return Outcome(failures=[Failure.of(place, 0, None, problem)])
    if bundles.is_processed(resource):
        return bundles.load(session, bundles.Source(digest, place, resource, lambda: json.parse(content)), work.only)
    return resources.load(session, digest, 1, [Candidate(place, 0, resource)], set())
