"""The batch interaction: each entry on its own, whatever becomes of the others. https://hl7.org/fhir/R4/http.html#brules"""

from __future__ import annotations

import logging
from typing import Any

from fhir_server.errors import BadRequest, FhirError
from fhir_server.interactions import bundle_response, entry_run
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.entry import ORDER, Entry, decided, note
from fhir_server.interactions.entry_problems import Problems, located
from fhir_server.interactions.entry_read import read_all
from fhir_server.store.searching import ConsentsFound

log = logging.getLogger(__name__)


def run(ctx: Context, bundle: dict[str, Any]) -> Response:
    """Run every entry as a request of its own and answer a batch-response, 200 whatever became of them.

    Raises BadRequest for a bundle that is not in order; an entry that cannot be understood fails alone.
    """
    problems = Problems()
    entries = read_all(bundle, ctx.base_url, problems)
    answers = {index: bundle_response.failed(error) for index, error in problems}
    inner = entry_run.quiet(ctx)
    for entry in sorted(entries, key=lambda entry: ORDER[entry.method]):
        answers[entry.index] = _answer(inner, entry)
    ctx.phases.mark("entries")
    return bundle_response.bundle("batch-response", [answers[index] for index in sorted(answers)])


def _answer(ctx: Context, entry: Entry) -> bytes:
    try:
        try:
            response = entry_run.run(decided(ctx, entry), entry)
        except ConsentsFound:
            response = entry_run.run(decided(ctx, entry), entry)
        note(ctx, entry, response.status)
        return bundle_response.entry(ctx.base_url, response)
    except FhirError as error:
        note(ctx, entry, error.status)
        return bundle_response.failed(located(entry, error))
    except RecursionError:
        return bundle_response.failed(located(entry, BadRequest("The resource is nested too deeply.", code="too-long")))
    except Exception as error:
        # The entries before it are committed, so their answers must reach the client.
        log.error("unexpected error in a batch", exc_info=error)
        return bundle_response.unexpected()
