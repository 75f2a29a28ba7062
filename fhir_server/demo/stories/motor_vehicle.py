"""A car crash: emergency, fracture care, physiotherapy, the auto insurer and the attorneys. https://hl7.org/fhir/R4/claim.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import hl7, loinc, problems, rxnorm, snomed
from fhir_server.demo.datatypes import Element, reference
from fhir_server.demo.families import documents, observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.medications import give, prescribe
from fhir_server.demo.families.planning import care_plan, flag, imaging_report, order, procedure
from fhir_server.demo.families.registration import cover
from fhir_server.demo.families.visits import Visit, emergency, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import OFFICE_VISIT, examine

_PAIN = (6, 5, 4, 3, 2, 1)


def tell(chart: Chart) -> list[Visit]:
    """The crash six to nine months ago, fracture clinic, six sessions of physiotherapy, records for the attorneys."""
    crash = chart.horizon - timedelta(days=chart.rng.randint(180, 270))
    insurer = reference("Organization", *chart.clinic.auto_insurer)
    coverage = cover(chart, "auto-coverage", hl7.AUTO_INSURANCE, insurer, crash - timedelta(days=200))
    accident = {"date": crash.isoformat(), "type": hl7.MOTOR_VEHICLE_ACCIDENT.concept()}
    billing: Element = {"coverage": coverage, "insurer": insurer, "accident": accident}

    admitted, fracture, whiplash, report = _emergency(chart, crash, billing)
    visits = [admitted, *_fracture_clinic(chart, crash, fracture, billing)]
    referral = order(
        visits[1], "therapy-order", snomed.PHYSICAL_THERAPY, to="physiotherapy", reason=whiplash, note="Six sessions"
    )
    care_plan(
        visits[1],
        "recovery-plan",
        "Recovery after the crash",
        snomed.MUSCULOSKELETAL_CARE,
        [snomed.PHYSICAL_THERAPY, snomed.EXERCISE_THERAPY],
        addresses=whiplash,
        ended=crash + timedelta(days=120),
    )
    visits += _therapy(chart, crash + timedelta(days=21), whiplash, referral, billing)
    _attorneys(chart, crash, report)
    return visits


def _emergency(chart: Chart, crash: date, billing: Element) -> tuple[Visit, Element, Element, Element]:
    visit = emergency(chart, chart.at(crash, 17, 35), 4.5, snomed.EMERGENCY_ADMISSION, reason="Driver in a car crash")
    mended = crash + timedelta(days=84)
    fracture = diagnose(
        visit,
        problems.CLAVICLE_FRACTURE,
        resolved=mended,
        body_site=snomed.LEFT_CLAVICLE,
        note="Closed, little displaced; from the seat belt.",
    )
    whiplash = diagnose(visit, problems.WHIPLASH, resolved=crash + timedelta(days=120))
    examine(visit, fully=True)
    observations.pain(visit, 8)
    film = order(visit, "clavicle-order", snomed.CLAVICLE_XRAY, to="emergency", reason=fracture)
    procedure(visit, "clavicle-film", snomed.CLAVICLE_XRAY, reason=fracture, based_on=film)
    imaging_report(
        visit, "clavicle-report", snomed.CLAVICLE_XRAY, "Fracture of the left clavicle, middle third.", based_on=film
    )
    give(visit, rxnorm.IBUPROFEN, minutes=40, reason=fracture)
    prescribe(visit, rxnorm.IBUPROFEN, reason=fracture, lasting=False)
    prescribe(visit, rxnorm.CYCLOBENZAPRINE, reason=whiplash, lasting=False)
    services = [(snomed.EMERGENCY_ADMISSION, "1240.00"), (snomed.CLAVICLE_XRAY, "165.00")]
    bill(visit, services, kind=hl7.INSTITUTIONAL_CLAIM, response=True, **billing)
    report = documents.note(
        visit,
        "emergency-note",
        loinc.EMERGENCY_NOTE,
        "Emergency department note",
        "Driver with seat belt, hit from the left at a crossing. Neck pain, pain over the left clavicle. "
        "Awake, no loss of consciousness. X-ray: fracture of the left clavicle. Sling, ibuprofen, home with family.\n",
    )
    return visit, fracture, whiplash, report


def _fracture_clinic(chart: Chart, crash: date, fracture: Element, billing: Element) -> list[Visit]:
    visits = []
    for weeks, pain in ((1, 6), (6, 3), (12, 1)):
        day = chart.weekday(crash + timedelta(weeks=weeks, days=2))
        visit = office_visit(chart, day, snomed.FOLLOW_UP, by="orthopedics", reason="Fracture of the clavicle")
        visit.treats(fracture, problems.CLAVICLE_FRACTURE)
        observations.pain(visit, pain)
        if weeks > 1:
            film = order(visit, "clavicle-order", snomed.CLAVICLE_XRAY, to="orthopedics", reason=fracture)
            reading = "Callus bridges the fracture." if weeks == 6 else "Fracture healed in good position."
            imaging_report(visit, "clavicle-report", snomed.CLAVICLE_XRAY, reading, based_on=film)
        bill(visit, [OFFICE_VISIT], **billing)
        visits.append(visit)
    return visits


def _therapy(chart: Chart, first: date, whiplash: Element, referral: Element, billing: Element) -> list[Visit]:
    visits = []
    for session, score in enumerate(_PAIN):
        day = chart.weekday(first + timedelta(days=9 * session))
        visit = office_visit(chart, day, snomed.FOLLOW_UP, by="physiotherapy", reason="Neck pain after a crash")
        visit.treats(whiplash, problems.WHIPLASH)
        observations.pain(visit, score)
        procedure(visit, "therapy", snomed.PHYSICAL_THERAPY, reason=whiplash, based_on=referral)
        if session % 2 == 0:
            bill(visit, [(snomed.PHYSICAL_THERAPY, "92.00")], **billing)
        visits.append(visit)
    return visits


def _attorneys(chart: Chart, crash: date, report: Element) -> None:
    """The attorneys ask for the records, the patient releases them, the clinic sends them."""
    attorneys = reference("Organization", *chart.clinic.law_firm)
    asked = chart.at(crash + timedelta(days=100), 10, 15)
    release = documents.attorney_release(chart, asked.date(), asked.date() + timedelta(days=730))
    flag(
        chart,
        "attorney-flag",
        hl7.hl7("flag-category", "admin", "Administrative"),
        "Represented by attorneys: send records on a signed release alone",
        asked.date(),
    )
    documents.task(
        chart,
        "records-request",
        "Send the records of the crash to the attorneys; see the signed release.",
        authored=asked,
        requester=attorneys,
        owner=chart.staff("nurse"),
        focus=release,
        done=True,
    )
    documents.message(
        chart,
        "records-sent",
        chart.staff("nurse"),
        attorneys,
        asked + timedelta(days=1, hours=2),
        "The records that the release names are on their way.",
    )
    documents.task(
        chart,
        "bills-request",
        "Itemized bills of all visits since the crash, for the demand letter.",
        authored=chart.at(chart.today - timedelta(days=5), 9, 5),
        requester=attorneys,
        owner=chart.staff("nurse"),
        focus=report,
        due=chart.today + timedelta(days=10),
    )


STORY = Story(tell, ages=(20, 64))
