"""Patients, their families, cover and accounts. https://hl7.org/fhir/R4/patient.html"""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta
from html import escape

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import Code, hl7
from fhir_server.demo.datatypes import Element, period, reference
from fhir_server.demo.names import LANGUAGES
from fhir_server.demo.person import years_before

_STREETS = ("Alder", "Juniper", "Canyon", "Harbor", "Mesquite", "Orchard", "Prospect", "Sunset", "Willow", "Juárez")
_RELATIVES = {"female": ("Elena", "Ruth", "Carmen", "Joy"), "male": ("Paul", "Luis", "Sam", "Ray")}
_RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
_REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"


def register(chart: Chart) -> None:
    """Write the Patient, a RelatedPerson, Coverage and Account; everything else refers to them."""
    person = chart.person
    home = _address(chart)
    died = chart.at(person.died, 4, 15) if person.died else None
    chart.add_patient(
        text=_narrative(chart),
        extension=_race(person.race) if person.race else None,
        identifier=_identifiers(chart),
        active=chart.alive,
        name=_names(chart),
        telecom=_telecom(chart),
        gender=person.sex,
        birthDate=person.birth_date,
        deceasedDateTime=died.isoformat(timespec="seconds") if died else None,
        address=[home],
        maritalStatus=_marital_status(chart),
        communication=[_speaks(person.language, preferred=True)]
        + ([_speaks("en", preferred=False)] if person.language != "en" else []),
        generalPractitioner=[chart.staff("primary")],
        managingOrganization=chart.organization,
    )
    relative = _relative(chart, home)
    since = max(person.born, years_before(chart.today, 6))
    insurer_id, insurer_name = chart.clinic.insurers[chart.rng.randrange(len(chart.clinic.insurers))]
    chart.insurer = reference("Organization", insurer_id, insurer_name)
    chart.coverage = cover(chart, "coverage", hl7.HEALTH_INSURANCE, chart.insurer, since, subscriber=relative)
    chart.account = chart.add(
        "Account",
        "account",
        status="active" if chart.alive else "inactive",
        type=hl7.PATIENT_BILLING.concept(),
        name=f"Account of {person.id.upper()}",
        subject=[chart.subject],
        servicePeriod=period(since, person.died),
        coverage=[{"coverage": chart.coverage, "priority": 1}],
        owner=chart.organization,
        guarantor=[{"party": chart.subject if person.age_on(chart.horizon) >= 18 else relative}],
    )


def cover(
    chart: Chart, label: str, kind: Code, insurer: Element, since: date, *, subscriber: Element | None = None
) -> Element:
    """A Coverage; a child is insured through `subscriber`. https://hl7.org/fhir/R4/coverage.html"""
    minor = subscriber is not None and chart.person.age_on(chart.horizon) < 18
    return chart.add(
        "Coverage",
        label,
        status="active" if chart.alive else "cancelled",
        type=kind.concept(),
        subscriber=subscriber if minor else chart.subject,
        subscriberId=f"{chart.rng.randint(10**8, 10**9 - 1)}",
        beneficiary=chart.subject,
        relationship=(hl7.CHILD if minor else hl7.SELF).concept(),
        period=period(since, chart.person.died),
        payor=[insurer],
    )


def _narrative(chart: Chart) -> Element:
    """The patient in one line, for people. https://hl7.org/fhir/R4/narrative.html"""
    person = chart.person
    line = f"{' '.join(person.given)} {person.family}, {person.sex}, born {person.birth_date}"
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{escape(line, quote=False)}</div>',
    }


def _identifiers(chart: Chart) -> list[Element]:
    number = int(chart.person.id[1:])
    return [
        {
            "use": "usual",
            "type": hl7.MEDICAL_RECORD_NUMBER.concept(),
            "system": f"{chart.clinic.site}/mrn",
            "value": f"MRN-{number:06}",
            "assigner": chart.organization,
        },
        {
            "use": "official",
            "type": hl7.SOCIAL_SECURITY.concept(),
            "system": "http://hl7.org/fhir/sid/us-ssn",
            # Numbers that begin with 999 are never issued.
            "value": f"999-{chart.rng.randint(10, 99)}-{chart.rng.randint(1000, 9999)}",
        },
    ]


def _names(chart: Chart) -> list[Element]:
    person = chart.person
    official: Element = {"use": "official", "family": person.family, "given": list(person.given)}
    if person.age_on(chart.horizon) >= 18 and person.maiden:
        official["prefix"] = ["Mrs."]
    found = [official]
    if person.local_name:
        family, given = person.local_name
        official["extension"] = [{"url": _REPRESENTATION, "valueCode": "ABC"}]
        ideographs = person.language in ("ja", "zh")
        found.append(
            {
                "extension": [{"url": _REPRESENTATION, "valueCode": "IDE" if ideographs else "ABC"}],
                "use": "usual",
                "text": f"{family}{given}" if ideographs else f"{given} {family}",
                "family": family,
                "given": [given],
            }
        )
    if person.maiden:
        found.append({"use": "maiden", "family": person.maiden, "given": list(person.given)})
    return found


def _telecom(chart: Chart) -> list[Element]:
    line = 100 + int(chart.person.id[1:])
    found = [
        {"system": "phone", "value": f"({chart.clinic.area_code}) 555-0{line:03}", "use": "home", "rank": 1},
    ]
    if 16 <= chart.person.age_on(chart.horizon) < 75:
        local = _ascii(f"{chart.person.given[0]}.{chart.person.family}")
        found.append({"system": "email", "value": f"{local}@example.com", "use": "home"})
    return found


def _ascii(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("Đ", "D"))
    return "".join(each for each in decomposed.lower() if each.isascii() and (each.isalnum() or each == "."))


def _address(chart: Chart) -> Element:
    clinic = chart.clinic
    return {
        "use": "home",
        "type": "both",
        "line": [f"{chart.rng.randint(10, 980)} {chart.rng.choice(_STREETS)} Street"],
        "city": clinic.city,
        "state": clinic.state,
        "postalCode": clinic.postal_code,
        "country": "US",
    }


def _marital_status(chart: Chart) -> Element | None:
    age = chart.person.age_on(chart.horizon)
    if age < 18:
        return None
    married = bool(chart.person.maiden) or (age > 30 and chart.rng.random() < 0.6)
    status = ("M", "Married") if married else ("S", "Never Married")
    return hl7.hl7("v3-MaritalStatus", *status).concept()


def _speaks(language: str, *, preferred: bool) -> Element:
    tongue = Code("urn:ietf:bcp:47", language, LANGUAGES[language])
    return {"language": tongue.concept(), "preferred": preferred}


def _race(race: tuple[str, str]) -> list[Element]:
    code, display = race
    category = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code, "display": display}
    parts = [{"url": "ombCategory", "valueCoding": category}, {"url": "text", "valueString": display}]
    return [{"url": _RACE, "extension": parts}]


def _relative(chart: Chart, home: Element) -> Element:
    """A child's mother; an adult's spouse or sister or brother."""
    person = chart.person
    minor = person.age_on(chart.horizon) < 18
    married = not minor and person.maiden is not None
    relationship = hl7.MOTHER if minor else hl7.SPOUSE if married else hl7.SIBLING
    gender = "female" if minor else ("male" if person.sex == "female" else "female")
    given = chart.rng.choice(_RELATIVES[gender])
    line = 500 + int(person.id[1:])
    years = chart.rng.randint(22, 36) if minor else chart.rng.randint(-3, 3)
    return chart.add(
        "RelatedPerson",
        "family",
        active=True,
        patient=chart.subject,
        relationship=[relationship.concept()],
        name=[{"use": "official", "family": person.family, "given": [given]}],
        telecom=[{"system": "phone", "value": f"({chart.clinic.area_code}) 555-0{line:03}", "use": "mobile"}],
        gender=gender,
        birthDate=(person.born - timedelta(days=365 * years)).isoformat(),
        address=[home],
    )
