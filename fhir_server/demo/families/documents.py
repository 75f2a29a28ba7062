"""Notes, consents, messages, tasks, provenance. https://hl7.org/fhir/R4/documentreference.html"""

from __future__ import annotations

import base64
import hashlib
from datetime import date, datetime, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import Code, hl7, loinc
from fhir_server.demo.datatypes import Element, period, reference, timestamp
from fhir_server.demo.families.visits import Visit


def note(visit: Visit, label: str, kind: Code, title: str, text: str) -> Element:
    """A plain-text clinical note of the visit, carried in the DocumentReference, and its Provenance."""
    chart = visit.chart
    data = text.encode()
    document = chart.add(
        "DocumentReference",
        label,
        status="current",
        docStatus="final",
        type=kind.concept(),
        subject=chart.subject,
        date=timestamp(visit.end),
        author=[visit.practitioner],
        custodian=chart.organization,
        description=title,
        content=[
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "language": "en",
                    "data": base64.b64encode(data).decode(),
                    "size": len(data),
                    "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode(),
                    "title": title,
                    "creation": timestamp(visit.end),
                }
            }
        ],
        context={"encounter": [visit.encounter], "period": period(visit.start, visit.end)},
    )
    chart.add(
        "Provenance",
        f"{label}-provenance",
        target=[document],
        occurredDateTime=timestamp(visit.end),
        recorded=timestamp(visit.end),
        agent=[{"type": hl7.AUTHOR.concept(), "who": visit.practitioner, "onBehalfOf": chart.organization}],
    )
    return document


def privacy_consent(chart: Chart, since: date) -> Element:
    """The patient agrees that the clinic uses the record for treatment. https://hl7.org/fhir/R4/consent.html"""
    return _consent(
        chart,
        "privacy-consent",
        loinc.PRIVACY_POLICY,
        since,
        {
            "type": "permit",
            "period": period(since),
            "purpose": [hl7.TREATMENT_PURPOSE.coding()],
        },
    )


def attorney_release(chart: Chart, since: date, until: date) -> Element:
    """The patient lets the clinic hand records of a period to their attorneys."""
    return _consent(
        chart,
        "attorney-release",
        loinc.RELEASE_OF_INFORMATION,
        since,
        {
            "type": "permit",
            "period": period(since, until),
            "actor": [
                {
                    "role": hl7.RECIPIENT.concept(),
                    "reference": reference("Organization", *chart.clinic.law_firm),
                }
            ],
            "purpose": [hl7.LEGAL_PURPOSE.coding()],
        },
    )


def _consent(chart: Chart, label: str, category: Code, since: date, provision: Element) -> Element:
    return chart.add(
        "Consent",
        label,
        status="active" if chart.alive else "inactive",
        scope=hl7.PRIVACY_CONSENT.concept(),
        category=[category.concept()],
        patient=chart.subject,
        dateTime=timestamp(chart.at(since, 8, 30)),
        performer=[chart.subject],
        organization=[chart.organization],
        policyRule=hl7.hl7("v3-ActCode", "OPTIN", "opt-in").concept(),
        provision=provision,
    )


def message(chart: Chart, label: str, sender: Element, recipient: Element, sent: datetime, text: str) -> Element:
    """A completed Communication about the patient. https://hl7.org/fhir/R4/communication.html"""
    return chart.add(
        "Communication",
        label,
        status="completed",
        subject=chart.subject,
        sent=timestamp(sent),
        received=timestamp(sent + timedelta(minutes=45)),
        sender=sender,
        recipient=[recipient],
        payload=[{"contentString": text}],
    )


def task(
    chart: Chart,
    label: str,
    text: str,
    *,
    authored: datetime,
    requester: Element,
    owner: Element,
    focus: Element | None = None,
    done: bool = False,
    due: date | None = None,
) -> Element:
    """Something that somebody at the clinic has to do, or did. https://hl7.org/fhir/R4/task.html"""
    finished = authored + timedelta(days=1, hours=3)
    return chart.add(
        "Task",
        label,
        status="completed" if done else "requested",
        intent="order",
        priority="routine",
        description=text,
        focus=focus,
        for_=chart.subject,
        executionPeriod=period(authored, finished) if done else None,
        authoredOn=timestamp(authored),
        lastModified=timestamp(finished if done else authored),
        requester=requester,
        owner=owner,
        restriction={"period": {"end": due.isoformat()}} if due else None,
    )
