"""$accounting-of-disclosures: who saw or changed what there is of a patient, and who tried. docs/audit.md

https://www.ecfr.gov/current/title-45/section-164.528 gives patients a right to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.access.policy import NOTHING
from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions import audit_events, search
from fhir_server.interactions.audit_events import Reach
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import instants
from fhir_server.search.suggest import shown

_NAME = "accounting-of-disclosures"
_DEFINITION = "urn:fhir-server:operation:accounting-of-disclosures"
_PERIOD = {"start": "ge", "end": "le"}


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer a searchset of AuditEvents, newest first, a page at a time.

    ``start`` and ``end`` are dates of any precision, both included; ``_count`` is the page's size. Raises BadRequest,
    Forbidden, and NotFound for a patient that is not the caller, where that is all they may ask about.
    """
    _, patient_id = scope
    access = ctx.decide("accounting", "Patient")
    if access.nothing:
        raise refusal(ctx, "accounting", "Patient")
    allowed = audit_events.reach(access, "Patient")
    if not allowed.everybody and patient_id not in allowed.patients:
        raise NotFound(f"Patient/{patient_id} is not known.")
    within = allowed if allowed.everybody else Reach(everybody=False, patients=frozenset((patient_id,)))
    stored = ctx.decide("search-type", audit_events.TYPE)
    inner = ctx.within(ctx.store, NOTHING if stored.nothing else stored)
    asked = _asked(patient_id, pairs_of(f"${_NAME}", pairs, body))
    response = audit_events.search(
        inner,
        asked,
        lambda wanted: search.parsed(inner, audit_events.TYPE, wanted),
        f"Patient/{patient_id}/${_NAME}",
        within,
    )
    if response is None:
        raise BadRequest("This _cursor is of another search; ask for the accounting again from its first page.")
    return response


def _asked(patient_id: str, given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters as those of a search."""
    if any(name == "_cursor" for name, _ in given):
        return given
    asked = [("patient", patient_id)]
    seen: set[str] = set()
    for name, value in given:
        if name not in (*_PERIOD, "_count") or name in seen:
            raise BadRequest(f"${_NAME} has the parameters start, end and _count, once each; not {shown(name)}.")
        seen.add(name)
        if name == "_count":
            asked.append((name, value))
            continue
        try:
            instants.interval(value)
        except ValueError as error:
            raise BadRequest(f"{name} must be a date: {error}.") from None
        asked.append(("date", f"{_PERIOD[name]}{value}"))
    return asked


OPERATION = Operation(_NAME, _DEFINITION, ("instance",), run, {"Patient": _DEFINITION}, needs=("accounting",))
