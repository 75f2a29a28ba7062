"""How feeds are doing, in numbers: nothing of what patients' messages say is here. docs/hl7.md, "On a page" """

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Response

from fhir_server.audit import event as events
from fhir_server.console.visit import Visit
from fhir_server.store import hl7_alerts, hl7_overview, hl7_score
from fhir_server.store.hl7_alerts import Alert
from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.hl7_overview import Traffic
from hl7_gateway.alerts import sentence
from hl7_gateway.conformance.names import SEGMENTS, field_names
from hl7_gateway.console.office import Office, number_of
from hl7_gateway.console.words import ago
from hl7_gateway.feed import NotAFeed
from hl7_gateway.wire.versions import USUAL

SCORED: Final = 1_000
"""How many of a feed's newest messages its score is made of."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A feed in a line."""

    id: int
    name: str
    state: str
    tone: str
    problem: str
    traffic: Traffic
    last: str
    oldest: str
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """An open alert in a line; ``seen`` says who has acknowledged it, "" for nobody."""

    id: int
    feed: str
    said: str
    since: str
    seen: str


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/feeds"""
    office = Office(visit)
    now = events.now()
    if visit.posted:
        return _acknowledge(office, now)
    counts = _overview(office, now)
    doing = [_doing(office, row, counts.feeds.get(row.id, Traffic()), now) for row in office.rows]
    known = {row.id for row in office.rows}
    for number, traffic in sorted(counts.feeds.items()):
        if number not in known:
            told = ago(traffic.last, now), ago(traffic.oldest, now)
            doing.append(Doing(number, office.name(number), "removed", "muted", "", traffic, *told, removed=True))
    return visit.render(
        "hl7/feeds.html",
        feeds=doing,
        alerts=[_open(one, now) for one in _alerts(office)],
        may_look=office.may_look(),
        total=counts.counted,
        whole=counts.counted < hl7_overview.NEWEST,
        since=ago(counts.since, now),
    )


def view_one(visit: Visit) -> Response:
    """GET /t/{slug}/feeds/{feed}"""
    office = Office(visit)
    number = number_of(visit.values.get("feed", ""))
    row = next((row for row in office.rows if row.id == number), None)
    if row is None:
        return visit.problem(404, "There is no such feed", "It is not among the feeds of this clinic.", back="feeds")
    now = events.now()
    score = office.database.transaction(
        office.tenant_id, lambda c: hl7_score.score(c, office.tenant_id, row.id, SCORED)
    )
    return visit.render(
        "hl7/feed.html",
        one=_doing(office, row, _overview(office, now).feeds.get(row.id, Traffic()), now),
        may_look=office.may_look(),
        score=score,
        percent=f"{score.mapped * 100:.1f}",
        fields=[(place, _called(place), number) for place, number in score.fields],
        scored=SCORED,
    )


def _acknowledge(office: Office, now: int) -> Response:
    """Note that somebody has seen an alert; one that was cleared or seen meanwhile needs nothing any more."""
    visit, number = office.visit, number_of(office.visit.value("seen", 20))
    if number is not None:
        by = visit.somebody.username
        office.database.transaction(
            office.tenant_id, lambda c: hl7_alerts.acknowledge(c, office.tenant_id, number, by, now)
        )
    return visit.redirect("feeds")


def _alerts(office: Office) -> list[Alert]:
    return office.database.transaction(office.tenant_id, lambda c: hl7_alerts.listed(c, office.tenant_id))


def _open(alert: Alert, now: int) -> Open:
    seen = f"{alert.acknowledged_by}, {ago(alert.acknowledged, now)}" if alert.acknowledged else ""
    return Open(alert.id, alert.feed, sentence(alert), ago(alert.raised, now), seen)


def _overview(office: Office, now: int) -> hl7_overview.Overview:
    number = office.tenant_id
    return office.database.transaction(number, lambda c: hl7_overview.overview(c, number, now))


def _doing(office: Office, row: FeedRow, traffic: Traffic, now: int) -> Doing:
    state, tone, problem = ("paused", "warn", "") if row.paused else ("on", "", "")
    try:
        problem = "; ".join(office.parsed(row).mapping.wanting)
    except NotAFeed as error:
        problem = str(error)
    if problem:
        state, tone = "cannot be used", "error"
    return Doing(row.id, row.name, state, tone, problem, traffic, ago(traffic.last, now), ago(traffic.oldest, now))


def _called(place: str) -> str:
    """What a place such as PID-10.1 is called."""
    segment, _, field = place.partition("-")
    number = field.partition(".")[0]
    if not number.isdigit():
        return SEGMENTS.get(segment, "")
    return field_names(USUAL, segment).get(int(number), SEGMENTS.get(segment, ""))
