"""Several dead letters at once: what would become of them, and having it so. docs/hl7.md, "On a page" """

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from flask import Response

from fhir_server.console.visit import Problems, Visit
from fhir_server.store.hl7_found import Found, Wanted
from fhir_server.store.hl7_messages import DEAD
from hl7_gateway.console import changes, filters
from hl7_gateway.console.messages_page import note_done, row, searched
from hl7_gateway.console.office import Office, number_of
from hl7_gateway.console.outcome import Tally
from hl7_gateway.console.words import counted
from hl7_gateway.feed import Feed
from hl7_gateway.replaying import preview
from hl7_gateway.replaying import replay as prepared

MOST: Final = 1_000
"""Dead letters that one form deals with."""

_TRIED: Final = 100
_SECONDS: Final = 8.0
"""How many are tried for a preview, and for how long."""

_LONGEST_REASON: Final = 300


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/messages/replay"""
    if not visit.posted:
        return visit.redirect("messages")
    office = Office(visit)
    do = visit.value("do", 20)
    found, more = _found(office, every=do == "every")
    if not found:
        return visit.problem(
            400, "No dead letters were chosen", "Tick some in the list, or choose all that a search finds.", back=""
        )
    match do:
        case "replay":
            return note_done(visit, _replayed(office, found))
        case "drop":
            reason = visit.value("reason", _LONGEST_REASON).strip()
            if not reason:
                wrong = [("reason", "Say why these messages are not needed, in at most 300 characters.")]
                return _page(office, found, more, wrong)
            return note_done(visit, f"{counted(_dropped(office, found, reason), 'message')} dropped.")
        case _:
            return _page(office, found, more)


def _found(office: Office, *, every: bool) -> tuple[list[Found], bool]:
    """The dead letters in question, the oldest first, since later ones build on them; and whether there are more."""
    visit = office.visit
    if every:
        chosen = searched(visit)
        if filters.problems(chosen, office):
            return [], False
        wanted = filters.wanted(chosen, office, state=DEAD)
    else:
        numbers = {number_of(text) for text in visit.request.form.getlist("message")[:MOST]} - {None}
        wanted = Wanted(state=DEAD, ids=tuple(one for one in numbers if one is not None))
    found = office.listed(wanted, MOST + 1, oldest=True)
    return found[:MOST], len(found) > MOST


def _page(office: Office, found: Sequence[Found], more: bool, problems: Problems = ()) -> Response:
    visit = office.visit
    tally = _tally(office, found) if not problems else None
    if tally is not None:
        for some in _chunks(found[: tally.tried]):
            visit.record("hl7-preview", messages=tuple(one.id for one in some))
    return visit.render(
        "hl7/bulk.html",
        problems=problems,
        rows=[row(one, office) for one in found],
        many=counted(len(found), "dead letter"),
        more=more,
        most=MOST,
        tally=tally,
        lines=list(tally.lines()) if tally is not None else [],
        reasons=tally.problems.most_common(20) if tally is not None else [],
        reason=visit.value("reason", _LONGEST_REASON),
    )


def _tally(office: Office, found: Sequence[Found]) -> Tally:
    tally, end = Tally(), time.monotonic() + _SECONDS
    feeds = _feeds(office, found)
    for one in found[:_TRIED]:
        if time.monotonic() > end:
            break
        feed, whole = feeds[one.feed_id], office.whole(one.id)
        if feed is None or whole is None:
            tally.tried += 1
            tally.problems["its feed was removed or cannot be used"] += 1
            continue
        tally.add(preview(office.store, office.desk, feed, one.id, whole.raw))
    return tally


def _replayed(office: Office, found: Sequence[Found]) -> str:
    feeds, done, left, older = _feeds(office, found), 0, 0, 0
    for some in _chunks(found):
        asked = []
        for one in some:
            feed, whole = feeds[one.feed_id], office.whole(one.id)
            if feed is None or whole is None:
                left += 1
            elif preview(office.store, office.desk, feed, one.id, whole.raw).overtaken:
                older += 1
            else:
                asked.append(prepared(feed, office.hasher, whole))
        done += len(changes.replay(office, asked))
    told = [f"{counted(done, 'message')} to be converted again."]
    if left:
        told.append(f"{counted(left, 'message')} left as they are, whose feed was removed or cannot be used.")
    if older:
        told.append(f"{counted(older, 'message')} left that would change what later messages have said: look at each.")
    return " ".join(told)


def _dropped(office: Office, found: Sequence[Found], reason: str) -> int:
    return sum(len(changes.drop(office, [one.id for one in some], reason)) for some in _chunks(found))


def _feeds(office: Office, found: Sequence[Found]) -> dict[int, Feed | None]:
    return {number: office.feed(number) for number in {one.feed_id for one in found}}


def _chunks(found: Sequence[Found]) -> Iterator[Sequence[Found]]:
    for start in range(0, len(found), changes.TOGETHER):
        yield found[start : start + changes.TOGETHER]
