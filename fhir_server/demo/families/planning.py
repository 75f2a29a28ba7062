"""Care plans, goals, care teams, procedures, referrals. https://hl7.org/fhir/R4/careprovision-module.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import Code, hl7, snomed
from fhir_server.demo.datatypes import Element, period, quantity, timestamp
from fhir_server.demo.families.visits import Visit


def goal(
    visit: Visit,
    label: str,
    text: str,
    measure: Code,
    target: Element,
    *,
    addresses: Element | None = None,
    achieved: bool = False,
) -> Element:
    """A Goal with one measurable target, due half a year later. https://hl7.org/fhir/R4/goal.html

    `target` is the detail[x] of the target: {"detailQuantity": ...} or {"detailRange": ...}.
    """
    chart = visit.chart
    status = ("achieved", "Achieved") if achieved else ("in-progress", "In Progress")
    return chart.add(
        "Goal",
        label,
        lifecycleStatus="active" if chart.alive else "completed",
        achievementStatus=hl7.hl7("goal-achievement", *status).concept(),
        description={"text": text},
        subject=chart.subject,
        startDate=visit.day.isoformat(),
        target=[{"measure": measure.concept(), **target, "dueDate": (visit.day + timedelta(days=182)).isoformat()}],
        expressedBy=visit.practitioner,
        addresses=[addresses] if addresses else None,
    )


def care_plan(
    visit: Visit,
    label: str,
    title: str,
    kind: Code,
    activities: list[Code],
    *,
    goals: list[Element] | None = None,
    addresses: Element | None = None,
    ended: date | None = None,
) -> Element:
    """A CarePlan with activities, in force until `ended`, death, or now. https://hl7.org/fhir/R4/careplan.html"""
    chart = visit.chart
    end = ended if ended is not None and ended <= chart.horizon else chart.person.died
    return visit.add(
        "CarePlan",
        label,
        status="completed" if end else "active",
        intent="plan",
        title=title,
        category=[kind.concept()],
        period=period(visit.day, end),
        created=visit.day.isoformat(),
        author=visit.practitioner,
        addresses=[addresses] if addresses else None,
        goal=goals or None,
        activity=[
            {"detail": {"code": each.concept(), "status": "completed" if end else "in-progress"}} for each in activities
        ],
    )


def care_team(chart: Chart, keys: tuple[str, ...], since: date) -> Element:
    """The people who look after the patient together. https://hl7.org/fhir/R4/careteam.html"""
    roles = {"primary": snomed.GENERAL_PRACTITIONER, "nurse": snomed.NURSE}
    return chart.add(
        "CareTeam",
        "care-team",
        status="active" if chart.alive else "inactive",
        name="Care team",
        subject=chart.subject,
        period=period(since, chart.person.died),
        participant=[
            {"role": [snomed.PATIENT.concept()], "member": chart.subject},
            *(
                {
                    "role": [_role(chart, key, roles).concept()],
                    "member": chart.staff(key),
                    "onBehalfOf": chart.organization,
                }
                for key in keys
            ),
        ],
        managingOrganization=[chart.organization],
    )


def _role(chart: Chart, key: str, roles: dict[str, Code]) -> Code:
    return roles[key] if key in roles else chart.clinic.member(key).specialty


def procedure(
    visit: Visit,
    label: str,
    code: Code,
    *,
    minutes: tuple[int, int] = (5, 20),
    reason: Element | None = None,
    body_site: Code | None = None,
    by: str | None = None,
    based_on: Element | None = None,
) -> Element:
    """A completed Procedure between two minutes of the visit. https://hl7.org/fhir/R4/procedure.html"""
    return visit.add(
        "Procedure",
        label,
        basedOn=[based_on] if based_on else None,
        status="completed",
        code=code.concept(),
        performedPeriod={"start": visit.moment(minutes[0]), "end": visit.moment(minutes[1])},
        performer=[{"actor": visit.chart.staff(by) if by else visit.practitioner}],
        reasonReference=[reason] if reason else None,
        bodySite=[body_site.concept()] if body_site else None,
    )


def order(
    visit: Visit,
    label: str,
    code: Code,
    *,
    to: str,
    reason: Element | None = None,
    note: str | None = None,
    done: bool = True,
) -> Element:
    """A ServiceRequest to a colleague: a referral or an examination. https://hl7.org/fhir/R4/servicerequest.html"""
    return visit.add(
        "ServiceRequest",
        label,
        status="completed" if done else "active",
        intent="order",
        priority="routine",
        code=code.concept(),
        authoredOn=visit.moment(10),
        requester=visit.practitioner,
        performer=[visit.chart.staff(to)],
        reasonReference=[reason] if reason else None,
        note=[{"text": note}] if note else None,
    )


def imaging_report(visit: Visit, label: str, code: Code, conclusion: str, *, based_on: Element) -> Element:
    """A radiology DiagnosticReport with its reading in words. https://hl7.org/fhir/R4/diagnosticreport.html"""
    return visit.add(
        "DiagnosticReport",
        label,
        basedOn=[based_on],
        status="final",
        category=[hl7.RADIOLOGY_SECTION.concept()],
        code=code.concept(),
        effectiveDateTime=visit.moment(15),
        issued=timestamp(visit.end),
        performer=[visit.practitioner],
        conclusion=conclusion,
    )


def flag(chart: Chart, label: str, category: Code, text: str, since: date) -> Element:
    """A Flag that everybody who opens the chart should see. https://hl7.org/fhir/R4/flag.html"""
    return chart.add(
        "Flag",
        label,
        status="active" if chart.alive else "inactive",
        category=[category.concept()],
        code={"text": text},
        subject=chart.subject,
        period=period(since, chart.person.died),
        author=chart.staff("primary"),
    )


def device(chart: Chart, label: str, kind: Code, name: str, maker: str) -> Element:
    """A Device the patient keeps at home. https://hl7.org/fhir/R4/device.html"""
    serial = f"{chart.rng.randint(100000, 999999)}"
    return chart.add(
        "Device",
        label,
        status="active" if chart.alive else "inactive",
        manufacturer=maker,
        serialNumber=serial,
        deviceName=[{"name": name, "type": "user-friendly-name"}],
        type=kind.concept(),
        patient=chart.subject,
        owner=chart.organization,
    )


def below(value: float, unit: str, digits: int = 0) -> Element:
    """A goal's target: at most this much."""
    return {"detailRange": {"high": quantity(value, unit, digits)}}
