"""A clinic's own resources: organizations, places, staff, services, schedules. https://hl7.org/fhir/R4/administration-module.html"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from fhir_server.demo.clinic import Clinic, StaffMember
from fhir_server.demo.codes import Code, hl7
from fhir_server.demo.datatypes import Element, period, reference, timestamp
from fhir_server.demo.families.screening import questionnaire

_WORKING_DAYS = ["mon", "tue", "wed", "thu", "fri"]
_BOOKABLE = ("family", "internal", "pediatrics", "obstetrics", "orthopedics")
_SLOT_DAYS = 5
_QUALIFICATIONS: dict[str, Element] = {
    "MD": hl7.hl7("v2-0360", "MD", "Doctor of Medicine").concept(),
    "RN": hl7.hl7("v2-0360", "RN", "Registered Nurse").concept(),
    "PT": {"text": "Physical Therapist"},
}


def directory(clinic: Clinic, today: date) -> Iterator[Element]:
    """Everything of the clinic that patients' records refer to, what is referred to first."""
    yield from _organizations(clinic)
    yield from _locations(clinic)
    for member in clinic.staff:
        yield _practitioner(clinic, member)
        yield _practitioner_role(clinic, member)
    yield from _services(clinic)
    for key in _BOOKABLE:
        yield _schedule(clinic, clinic.member(key), today)
        yield from _free_slots(clinic, clinic.member(key), today)
    yield questionnaire(clinic, (today - timedelta(days=900)).isoformat())


def _resource(resource_type: str, resource_id: str, **elements: Any) -> Element:
    return {"resourceType": resource_type, "id": resource_id, **elements}


def _organizations(clinic: Clinic) -> Iterator[Element]:
    yield _resource(
        "Organization",
        clinic.tenant,
        identifier=[{"system": f"{clinic.site}/organization", "value": clinic.tenant}],
        active=True,
        type=[hl7.PROVIDER_ORGANIZATION.concept()],
        name=clinic.name,
        telecom=[
            {"system": "phone", "value": f"({clinic.area_code}) 555-0100", "use": "work"},
            {"system": "url", "value": clinic.site},
        ],
        address=[_address(clinic)],
    )
    others: list[tuple[tuple[str, str], Code]] = [
        *((insurer, hl7.INSURANCE_COMPANY) for insurer in (*clinic.insurers, clinic.auto_insurer)),
        (clinic.laboratory, hl7.PROVIDER_ORGANIZATION),
        (clinic.law_firm, hl7.OTHER_ORGANIZATION),
    ]
    for (organization_id, name), kind in others:
        yield _resource("Organization", organization_id, active=True, type=[kind.concept()], name=name)


def _address(clinic: Clinic) -> Element:
    return {
        "use": "work",
        "line": [clinic.street],
        "city": clinic.city,
        "state": clinic.state,
        "postalCode": clinic.postal_code,
        "country": "US",
    }


def _locations(clinic: Clinic) -> Iterator[Element]:
    organization = reference("Organization", clinic.tenant)
    yield _resource(
        "Location",
        "clinic",
        status="active",
        name=clinic.name,
        mode="instance",
        type=[hl7.hl7("v3-RoleCode", "OF", "Outpatient facility").concept()],
        address=_address(clinic),
        physicalType=hl7.hl7("location-physical-type", "bu", "Building").concept(),
        position={"longitude": Decimal(clinic.longitude), "latitude": Decimal(clinic.latitude)},
        managingOrganization=organization,
        hoursOfOperation=[{"daysOfWeek": _WORKING_DAYS, "openingTime": "08:00:00", "closingTime": "17:00:00"}],
    )
    rooms = (
        ("exam-room-1", "Examination room 1", "ro", "Room"),
        ("exam-room-2", "Examination room 2", "ro", "Room"),
        ("emergency-room", "Emergency department", "wi", "Wing"),
        ("ward", "Ward", "wa", "Ward"),
    )
    for room, name, kind, display in rooms:
        yield _resource(
            "Location",
            room,
            status="active",
            name=name,
            mode="instance",
            physicalType=hl7.hl7("location-physical-type", kind, display).concept(),
            managingOrganization=organization,
            partOf=reference("Location", "clinic"),
        )


def _practitioner(clinic: Clinic, member: StaffMember) -> Element:
    qualification = _QUALIFICATIONS[member.title]
    return _resource(
        "Practitioner",
        member.id,
        identifier=[{"system": f"{clinic.site}/staff", "value": member.id}],
        active=True,
        name=[
            {
                "use": "official",
                "text": member.name,
                "family": member.family,
                "given": [member.given],
                **({"prefix": ["Dr."]} if member.title == "MD" else {"suffix": [member.title]}),
            }
        ],
        telecom=[{"system": "email", "value": f"{member.id}@{clinic.tenant}.example.org", "use": "work"}],
        gender=member.gender,
        qualification=[{"code": qualification}],
    )


def _practitioner_role(clinic: Clinic, member: StaffMember) -> Element:
    role = ("nurse", "Nurse") if member.title == "RN" else ("doctor", "Doctor")
    code = {"text": "Physical therapist"} if member.title == "PT" else hl7.hl7("practitioner-role", *role).concept()
    return _resource(
        "PractitionerRole",
        member.id,
        active=True,
        practitioner=reference("Practitioner", member.id, member.name),
        organization=reference("Organization", clinic.tenant, clinic.name),
        code=[code],
        specialty=[member.specialty.concept()],
        location=[reference("Location", "clinic")],
        availableTime=[{"daysOfWeek": _WORKING_DAYS, "availableStartTime": "08:00:00", "availableEndTime": "17:00:00"}],
    )


def _services(clinic: Clinic) -> Iterator[Element]:
    for member in clinic.staff:
        if member.key == "nurse":
            continue
        yield _resource(
            "HealthcareService",
            f"{member.key}-service",
            active=True,
            providedBy=reference("Organization", clinic.tenant, clinic.name),
            specialty=[member.specialty.concept()],
            location=[reference("Location", "clinic")],
            name=f"{member.specialty.display} at {clinic.name}",
            appointmentRequired=member.key != "emergency",
            availableTime=[{"allDay": True, "daysOfWeek": [*_WORKING_DAYS, "sat", "sun"]}]
            if member.key == "emergency"
            else [{"daysOfWeek": _WORKING_DAYS, "availableStartTime": "08:00:00", "availableEndTime": "17:00:00"}],
        )


def _schedule(clinic: Clinic, member: StaffMember, today: date) -> Element:
    return _resource(
        "Schedule",
        member.id,
        active=True,
        specialty=[member.specialty.concept()],
        actor=[
            reference("Practitioner", member.id, member.name),
            reference("PractitionerRole", member.id),
            reference("Location", "exam-room-1"),
        ],
        planningHorizon=period(today, today + timedelta(days=180)),
    )


def _free_slots(clinic: Clinic, member: StaffMember, today: date) -> Iterator[Element]:
    """Two mornings' hours free on each of the next working days; patients' own appointments are in the afternoon."""
    days = [today + timedelta(days=ahead) for ahead in range(1, 10)]
    for number, day in enumerate([day for day in days if day.weekday() < 5][:_SLOT_DAYS], 1):
        for hour in (9, 11):
            start = datetime.combine(day, time(hour), clinic.timezone)
            yield _resource(
                "Slot",
                f"{member.id}-day{number}-{hour}h",
                schedule=reference("Schedule", member.id),
                status="free",
                start=timestamp(start),
                end=timestamp(start + timedelta(minutes=30)),
            )
