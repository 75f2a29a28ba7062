"""The messages of a clinic: how many there are, and those that somebody looks for. docs/hl7.md, "On a page" """

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import Response

from fhir_server.audit import event as events
from fhir_server.console.times import shown_at
from fhir_server.console.visit import Problems, Visit, see_other
from fhir_server.store import hl7_overview
from fhir_server.store.hl7_found import Found
from fhir_server.store.hl7_messages import DEAD, RECEIVED
from hl7_gateway.console import filters
from hl7_gateway.console.filters import STATES, Filters
from hl7_gateway.console.office import Office, number_of
from hl7_gateway.console.words import ago, tone

PER_PAGE: Final = 50
_KEPT: Final = "messages"
_DONE: Final = "messages_done"


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the list."""

    id: int
    at: str
    feed: str
    kind: str
    control_id: str
    state: str
    state_word: str
    tone: str
    marks: tuple[str, ...]
    problem: str


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/messages: what is looked for is kept with the session, and in no URL."""
    office = Office(visit)
    args = visit.request.args
    if visit.posted:
        chosen = Filters() if visit.value("do", 20) == "all" else filters.typed(visit)
        wrong = filters.problems(chosen, office)
        if wrong:
            return _page(office, chosen, wrong)
        return _go(visit, chosen)
    if "feed" in args or "state" in args:
        # A link of the feeds' page: neither names a patient.
        return _go(visit, Filters(feed=args.get("feed", "")[:63], state=args.get("state", "")[:20]))
    chosen = searched(visit)
    return _page(office, chosen, filters.problems(chosen, office), number_of(args.get("before", "")))


def searched(visit: Visit) -> Filters:
    """What the person has looked for last."""
    return filters.kept(visit.current.state.get(_KEPT, {}))


def note_done(visit: Visit, sentence: str) -> Response:
    """Back to the list, which tells once what was done."""
    visit.keep(**{_DONE: sentence})
    return visit.redirect("messages")


def _go(visit: Visit, chosen: Filters) -> Response:
    visit.keep(**{_KEPT: chosen.kept() or None})
    return see_other(visit.to("messages"))


def _page(office: Office, chosen: Filters, problems: Problems, before: int | None = None) -> Response:
    visit = office.visit
    found: list[Found] = []
    if not problems:
        identified = office.known(sorted(filters.identifiers(chosen, office))) if chosen.patient else ()
        visit.record("hl7-search", query=f"GET messages?{chosen.told()}", patient_ids=identified)
        found = office.listed(filters.wanted(chosen, office, before=before), PER_PAGE + 1)
    now = events.now()
    counts = office.database.transaction(
        office.tenant_id, lambda c: hl7_overview.overview(c, office.tenant_id, now, hl7_overview.NEWEST)
    )
    done = str(visit.current.state.get(_DONE, ""))
    if done:
        visit.keep(**{_DONE: None})
    rows = [row(one, office) for one in found[:PER_PAGE]]
    states = counts.states
    return visit.render(
        "hl7/messages.html",
        problems=problems,
        done=done,
        chosen=chosen,
        searching=bool(chosen.kept()),
        feeds=[one.name for one in office.rows],
        states=STATES,
        rows=rows,
        dead=[one for one in rows if one.state == DEAD],
        older=str(found[PER_PAGE - 1].id) if len(found) > PER_PAGE else "",
        first=before is None,
        waiting=sum(one.waiting for one in counts.feeds.values()),
        oldest=ago(counts.oldest, now),
        dead_letters=sum(one.dead for one in counts.feeds.values()),
        last=ago(max((one.last for one in counts.feeds.values()), default=0), now),
        counted=[(word, states.get(name, 0)) for name, word in STATES if name not in (RECEIVED, DEAD)],
        total=counts.counted,
        whole=counts.counted < hl7_overview.NEWEST,
    )


def row(one: Found, office: Office) -> Row:
    """A message in one line."""
    problem = one.problem or {}
    said = " ".join(str(problem[key]) for key in ("code", "place", "said") if problem.get(key))
    marks = [mark for mark, holds in (("same control id", one.conflicting), ("correction", one.replay_of)) if holds]
    word = dict(STATES).get(one.state, one.state)
    kind = "^".join(part for part in (one.message_type, one.event) if part)
    at = datetime.fromtimestamp(one.received / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
    feed = office.name(one.feed_id)
    return Row(one.id, at, feed, kind, one.control_id, one.state, word, tone(one.state), tuple(marks), said)


def facts(one: Found, office: Office) -> list[tuple[str, str]]:
    """What is known of a message beside its content."""
    kind = "^".join(part for part in (one.message_type, one.event) if part)
    told = [
        ("Feed", office.name(one.feed_id)),
        ("Came", shown_at(one.received)),
        ("Settled", shown_at(one.settled) if one.settled else "not yet"),
        ("Type and event", kind or "not known"),
        ("Control id (MSH-10)", one.control_id or "none"),
        ("Sent by (MSH-3, MSH-4)", ", ".join(part for part in (one.application, one.facility) if part) or "not said"),
        ("Attempts", str(one.attempts)),
    ]
    if one.conflicting:
        told.append(("Note", "Another message of this feed has the same control id and other bytes."))
    return told
