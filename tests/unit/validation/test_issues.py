"""What people get wrong: each case names the code and the place of every error. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.r4 import json as r4_json
from fhir_server.validation import issues
from fhir_server.validation.issues import MAX_ISSUES
from fhir_server.validation.structure import is_valid

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">text</div>'
STATUS = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
PATIENT_REFERENCE = {"reference": "Patient/1"}


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}, **elements}


def condition(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": PATIENT_REFERENCE, "clinicalStatus": STATUS, **elements}


def bundle(kind: str, *entries: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, **({"entry": list(entries)} if entries else {}), **elements}


def item(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "string", **elements}],
    }


def timing(**repeat: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "subject": PATIENT_REFERENCE,
        "occurrenceTiming": {"repeat": repeat},
    }


def practitioner_contained(**elements: Any) -> dict[str, Any]:
    contained = {"resourceType": "Practitioner", "id": "p", **elements}
    return patient(contained=[contained], generalPractitioner=[{"reference": "#p"}])


TIMING = "ServiceRequest.occurrence.repeat"
CASES: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    # The resource as a whole
    "no resourceType": ({"id": "1"}, [("structure", "")]),
    "unknown resourceType": ({"resourceType": "Patiant"}, [("structure", "Patiant")]),
    "abstract resourceType": ({"resourceType": "DomainResource"}, [("structure", "DomainResource")]),
    "a datatype as resourceType": ({"resourceType": "HumanName"}, [("structure", "HumanName")]),
    "a list": ([patient()], [("structure", "")]),
    # Elements
    "unknown element": (patient(nmae=[]), [("structure", "Patient.nmae")]),
    "unknown element below": (patient(name=[{"familie": "x"}]), [("structure", "Patient.name[0].familie")]),
    "an element of R5": (
        patient(active=True, virtualServiceDetail=[]),
        [("structure", "Patient.virtualServiceDetail")],
    ),
    "missing required code": (
        {"resourceType": "Observation", "status": "final"},
        [("required", "Observation.code")],
    ),
    "missing status": (
        {"resourceType": "Observation", "code": {"text": "x"}},
        [("required", "Observation.status")],
    ),
    "missing required child": (patient(link=[{"type": "refer"}]), [("required", "Patient.link[0].other")]),
    "array for single value": (patient(gender=["male"]), [("structure", "Patient.gender")]),
    "array for single object": (patient(maritalStatus=[{"text": "x"}]), [("structure", "Patient.maritalStatus")]),
    "object for array": (patient(name={"family": "x"}), [("structure", "Patient.name")]),
    "string for array": (patient(name=[{"given": "Ann"}]), [("structure", "Patient.name[0].given")]),
    "string for object": (patient(name=["Ann"]), [("structure", "Patient.name[0]")]),
    "empty array": (patient(name=[]), [("structure", "Patient.name")]),
    "empty object": (patient(maritalStatus={}), [("structure", "Patient.maritalStatus")]),
    "empty object in array": (patient(name=[{"family": "x"}, {}]), [("structure", "Patient.name[1]")]),
    "only an id": (patient(name=[{"id": "a"}]), [("invariant", "Patient.name[0]")]),
    "null": (patient(birthDate=None), [("structure", "Patient.birthDate")]),
    "null object": (patient(maritalStatus=None), [("structure", "Patient.maritalStatus")]),
    "null in array without sibling": (
        patient(name=[{"given": ["Ann", None]}]),
        [("structure", "Patient.name[0].given[1]")],
    ),
    "sibling of another length": (
        patient(name=[{"given": ["Ann", "Bea"], "_given": [{"id": "a"}]}]),
        [("structure", "Patient.name[0].given")],
    ),
    "sibling of an object": (patient(_name=[{"id": "a"}]), [("structure", "Patient._name")]),
    "sibling of the id": (patient(id="a", _id={"id": "b"}), [("structure", "Patient._id")]),
    "sibling with a value": (
        patient(gender="male", _gender={"value": "x"}),
        [("structure", "Patient.gender.value")],
    ),
    "sibling without value or extension": (patient(_gender={"id": "x"}), [("invariant", "Patient.gender")]),
    # Primitives
    "string for boolean": (patient(active="true"), [("structure", "Patient.active")]),
    "number for boolean": (patient(active=1), [("structure", "Patient.active")]),
    "boolean for string": (patient(name=[{"family": True}]), [("structure", "Patient.name[0].family")]),
    "number for string": (patient(identifier=[{"value": 123}]), [("structure", "Patient.identifier[0].value")]),
    "string for number": (
        observation(valueQuantity={"value": "70"}),
        [("structure", "Observation.value.value")],
    ),
    "30 February": (patient(birthDate="2021-02-30"), [("value", "Patient.birthDate")]),
    "29 February of a common year": (patient(birthDate="1900-02-29"), [("value", "Patient.birthDate")]),
    "month 13": (patient(birthDate="2021-13"), [("value", "Patient.birthDate")]),
    "date of a country": (patient(birthDate="28.02.2021"), [("value", "Patient.birthDate")]),
    "time in a date": (patient(birthDate="2021-02-28T00:00:00Z"), [("value", "Patient.birthDate")]),
    "dateTime without zone": (
        observation(effectiveDateTime="2021-02-28T10:00:00"),
        [("value", "Observation.effective")],
    ),
    "dateTime without seconds": (
        observation(effectiveDateTime="2021-02-28T10:00Z"),
        [("value", "Observation.effective")],
    ),
    "hour 24": (observation(effectiveDateTime="2021-02-28T24:00:00Z"), [("value", "Observation.effective")]),
    "instant without time": (observation(issued="2021-02-28"), [("value", "Observation.issued")]),
    "time with zone": (observation(valueTime="10:00:00Z"), [("value", "Observation.value")]),
    "bad id": (patient(id="a_b"), [("value", "Patient.id")]),
    "long id": (patient(id="a" * 65), [("value", "Patient.id")]),
    "empty string": (patient(name=[{"family": ""}]), [("value", "Patient.name[0].family")]),
    "control character": (patient(name=[{"family": "a\u0007b"}]), [("value", "Patient.name[0].family")]),
    "NUL": (patient(name=[{"family": "a\u0000"}]), [("value", "Patient.name[0].family")]),
    "code with spaces": (patient(language=" en"), [("value", "Patient.language")]),
    "space in uri": (patient(implicitRules="http://a b"), [("value", "Patient.implicitRules")]),
    "base64 of wrong length": (
        patient(photo=[{"contentType": "image/png", "data": "QQ="}]),
        [("value", "Patient.photo[0].data")],
    ),
    "decimal for integer": (patient(multipleBirthInteger=r4_json.parse(b"2.0")), [("value", "Patient.multipleBirth")]),
    "integer beyond 32 bits": (patient(multipleBirthInteger=2**31), [("value", "Patient.multipleBirth")]),
    "zero for positiveInt": (
        patient(telecom=[{"system": "phone", "rank": 0}]),
        [("value", "Patient.telecom[0].rank")],
    ),
    "enormous exponent": (
        observation(valueQuantity={"value": r4_json.parse(b"1e999999")}),
        [("value", "Observation.value.value")],
    ),
    # Choices
    "two choices": (
        observation(valueString="x", valueBoolean=True),
        [("structure", "Observation.value")],
    ),
    "choice without a type": (observation(value="x"), [("structure", "Observation.value")]),
    "choice of a type not allowed": (observation(valueDecimal=1), [("structure", "Observation.valueDecimal")]),
    # Codes
    "unknown code": (patient(gender="femal"), [("code-invalid", "Patient.gender")]),
    "code of wrong case": (patient(gender="Male"), [("code-invalid", "Patient.gender")]),
    "bound concept with text only": (
        condition(clinicalStatus={"text": "active"}),
        [("code-invalid", "Condition.clinicalStatus")],
    ),
    "bound concept of another system": (
        condition(clinicalStatus={"coding": [{"system": "http://example.org", "code": "active"}]}),
        [("code-invalid", "Condition.clinicalStatus")],
    ),
    "no MIME type": (
        patient(photo=[{"contentType": "png"}]),
        [("code-invalid", "Patient.photo[0].contentType")],
    ),
    # References
    "reference to another type": (
        observation(subject={"reference": "Practitioner/1"}),
        [("value", "Observation.subject.reference")],
    ),
    "absolute reference to another type": (
        observation(subject={"reference": "http://example.org/fhir/Practitioner/1"}),
        [("value", "Observation.subject.reference")],
    ),
    "type of another type": (
        observation(subject={"type": "Practitioner", "display": "x"}),
        [("value", "Observation.subject.type")],
    ),
    "type that contradicts": (
        observation(subject={"reference": "Patient/1", "type": "Group"}),
        [("value", "Observation.subject.type")],
    ),
    "reference without type": (observation(subject={"reference": "1"}), [("value", "Observation.subject.reference")]),
    "reference to an unknown type": (
        observation(subject={"reference": "Patiant/1"}),
        [("value", "Observation.subject.reference")],
    ),
    "bad id in a reference": (
        observation(subject={"reference": "Patient/a_b"}),
        [("value", "Observation.subject.reference")],
    ),
    "no such contained resource": (
        observation(subject={"reference": "#p"}),
        [("invariant", "Observation.subject.reference")],
    ),
    "contained resource of another type": (
        patient(
            contained=[{"resourceType": "Location", "id": "l"}],
            generalPractitioner=[{"reference": "#l"}],
        ),
        [("value", "Patient.generalPractitioner[0].reference")],
    ),
    "reference as a string": (observation(subject="Patient/1"), [("structure", "Observation.subject")]),
    # Contained resources
    "contained resource without id": (
        patient(contained=[{"resourceType": "Practitioner"}]),
        [("required", "Patient.contained[0].id"), ("invariant", "Patient.contained[0]")],
    ),
    "contained resource not referred to": (
        patient(contained=[{"resourceType": "Practitioner", "id": "p"}]),
        [("invariant", "Patient.contained[0]")],
    ),
    "contained in contained": (
        practitioner_contained(
            contained=[{"resourceType": "Organization", "id": "o", "name": "x"}],
            qualification=[{"code": {"text": "MD"}, "issuer": {"reference": "#o"}}],
        ),
        [("invariant", "Patient.contained[0].contained")],
    ),
    "contained resource with versionId": (
        practitioner_contained(meta={"versionId": "1"}),
        [("invariant", "Patient.contained[0].meta.versionId")],
    ),
    "contained resource with security label": (
        practitioner_contained(meta={"security": [{"code": "R"}]}),
        [("invariant", "Patient.contained[0].meta.security")],
    ),
    "error in a contained resource": (
        practitioner_contained(gender="m"),
        [("code-invalid", "Patient.contained[0].gender")],
    ),
    # Extensions
    "extension without url": (patient(extension=[{"valueString": "x"}]), [("required", "Patient.extension[0].url")]),
    "extension without value": (patient(extension=[{"url": "http://a"}]), [("invariant", "Patient.extension[0]")]),
    "extension with value and extension": (
        patient(
            extension=[
                {"url": "http://a", "valueString": "x", "extension": [{"url": "b", "valueString": "y"}]},
            ]
        ),
        [("invariant", "Patient.extension[0]")],
    ),
    "extension with two values": (
        patient(extension=[{"url": "http://a", "valueString": "x", "valueCode": "y"}]),
        [("structure", "Patient.extension[0].value")],
    ),
    "extension with an unknown type": (
        patient(extension=[{"url": "http://a", "valueStr": "x"}]),
        [("structure", "Patient.extension[0].valueStr"), ("invariant", "Patient.extension[0]")],
    ),
    "bad value in an extension of a primitive": (
        patient(_gender={"extension": [{"url": "http://a", "valueDate": "x"}]}),
        [("value", "Patient.gender.extension[0].value")],
    ),
    # Narrative
    "script": (
        patient(text={"status": "generated", "div": DIV.replace("text", "<script>alert(1)</script>")}),
        [("invariant", "Patient.text.div")],
    ),
    "empty narrative": (
        patient(text={"status": "generated", "div": DIV.replace("text", " ")}),
        [("invariant", "Patient.text.div")],
    ),
    "narrative without div": (patient(text={"status": "generated"}), [("required", "Patient.text.div")]),
    "narrative that is not XHTML": (
        patient(text={"status": "generated", "div": "<div>text</div>"}),
        [("value", "Patient.text.div")],
    ),
    # Bundles and Parameters
    "error in an entry": (
        bundle("collection", {"resource": patient()}, {"resource": patient(gender="m")}),
        [("code-invalid", "Bundle.entry[1].resource.gender")],
    ),
    "entry without resourceType": (
        bundle("collection", {"resource": {"id": "a"}}),
        [("structure", "Bundle.entry[0].resource")],
    ),
    "transaction without request": (bundle("transaction", {"resource": patient()}), [("invariant", "Bundle")]),
    "search in a collection": (
        bundle("collection", {"resource": patient(), "search": {"mode": "match"}}),
        [("invariant", "Bundle")],
    ),
    "total in a collection": (bundle("collection", {"resource": patient()}, total=1), [("invariant", "Bundle")]),
    "two entries with one fullUrl": (
        bundle(
            "collection",
            {"fullUrl": "http://a/Patient/1", "resource": patient()},
            {"fullUrl": "http://a/Patient/1", "resource": patient()},
        ),
        [("invariant", "Bundle")],
    ),
    "entry with nothing": (
        bundle("collection", {"fullUrl": "http://a/Patient/1"}),
        [("invariant", "Bundle.entry[0]")],
    ),
    "document without composition": (
        bundle(
            "document",
            {"resource": patient()},
            identifier={"system": "http://a", "value": "1"},
            timestamp="2021-02-28T10:00:00Z",
        ),
        [("invariant", "Bundle")],
    ),
    "parameter with value and part": (
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "a", "valueString": "x", "part": [{"name": "b", "valueString": "y"}]}],
        },
        [("invariant", "Parameters.parameter[0]")],
    ),
    "error in a parameter's resource": (
        {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": patient(gender="m")}]},
        [("code-invalid", "Parameters.parameter[0].resource.gender")],
    ),
    # Invariants
    "period that ends before it starts": (
        patient(name=[{"family": "x", "period": {"start": "2021-02-01", "end": "2021-01-31"}}]),
        [("invariant", "Patient.name[0].period")],
    ),
    "contact with nothing to contact": (
        patient(contact=[{"gender": "male"}]),
        [("invariant", "Patient.contact[0]")],
    ),
    "telecom without system": (
        patient(telecom=[{"value": "1"}]),
        [("invariant", "Patient.telecom[0]")],
    ),
    "value and dataAbsentReason": (
        observation(valueString="x", dataAbsentReason={"text": "y"}),
        [("invariant", "Observation")],
    ),
    "component with the observation's code": (
        observation(
            code={"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
            valueString="x",
            component=[{"code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}}],
        ),
        [("invariant", "Observation")],
    ),
    "reference range with nothing": (
        observation(referenceRange=[{"type": {"text": "x"}}]),
        [("invariant", "Observation.referenceRange[0]")],
    ),
    "quantity with code but no system": (
        observation(valueQuantity={"value": 1, "code": "kg"}),
        [("invariant", "Observation.value")],
    ),
    "range of wrong order": (
        observation(valueRange={"low": {"value": 2}, "high": {"value": 1}}),
        [("invariant", "Observation.value")],
    ),
    "comparator in a simple quantity": (
        observation(valueRange={"low": {"value": 2, "comparator": "<"}}),
        [("invariant", "Observation.value.low")],
    ),
    "ratio with half": (observation(valueRatio={"numerator": {"value": 2}}), [("invariant", "Observation.value")]),
    "active condition with abatement": (
        condition(abatementDateTime="2020"),
        [("invariant", "Condition")],
    ),
    "age without unit": (condition(onsetAge={"value": 1}), [("invariant", "Condition.onset")]),
    "organization without name": ({"resourceType": "Organization"}, [("invariant", "Organization")]),
    "organization with home address": (
        {"resourceType": "Organization", "name": "x", "address": [{"use": "work"}, {"use": "home"}]},
        [("invariant", "Organization.address[1]")],
    ),
    "appointment with start only": (
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": "2021-02-28T10:00:00Z",
            "participant": [{"type": [{"text": "x"}], "status": "accepted"}],
        },
        [("invariant", "Appointment"), ("invariant", "Appointment")],
    ),
    "period without unit": (timing(period=1, frequency=1), [("invariant", TIMING)]),
    "negative duration": (timing(duration=-1, durationUnit="h"), [("invariant", TIMING)]),
    "offset from a meal itself": (timing(offset=5, when=["C"]), [("invariant", TIMING)]),
    "choice question without choices is fine, group without items is not": (
        item(type="group"),
        [("invariant", "Questionnaire.item[0]")],
    ),
    "display with code": (item(type="display", code=[{"code": "x"}]), [("invariant", "Questionnaire.item[0]")]),
    "one linkId twice": (
        item(type="group", item=[{"linkId": "1", "type": "display", "text": "x"}]),
        [("invariant", "Questionnaire")],
    ),
    "question below a question": (
        item(type="group", item=[{"linkId": "2", "type": "display", "required": True}]),
        [("invariant", "Questionnaire.item[0].item[0]")],
    ),
    "enableWhen exists with a string": (
        item(enableWhen=[{"question": "0", "operator": "exists", "answerString": "x"}]),
        [("invariant", "Questionnaire.item[0].enableWhen[0]")],
    ),
    "task modified before it was authored": (
        {
            "resourceType": "Task",
            "status": "draft",
            "intent": "order",
            "authoredOn": "2021-02-02",
            "lastModified": "2021-02-01",
        },
        [("invariant", "Task")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_error_has_its_code_and_place(name: str) -> None:
    resource, expected = CASES[name]
    found = [(issue.code, issue.expression) for issue in issues(resource) if issue.severity == "error"]
    assert sorted(found) == sorted(expected)
    assert not is_valid(resource)


def test_every_error_of_a_resource_is_listed_at_once() -> None:
    broken = patient(
        gender="x",
        birthDate="2021-02-30",
        name=[{"family": "ok"}, {"family": "", "use": "x"}],
        foo=1,
        link=[{"other": {"reference": "Device/1"}}],
    )
    assert sorted((issue.code, issue.expression) for issue in issues(broken, warnings=False)) == [
        ("code-invalid", "Patient.gender"),
        ("code-invalid", "Patient.name[1].use"),
        ("required", "Patient.link[0].type"),
        ("structure", "Patient.foo"),
        ("value", "Patient.birthDate"),
        ("value", "Patient.link[0].other.reference"),
        ("value", "Patient.name[1].family"),
    ]


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (patient(nmae=[]), "did you mean name"),
        ({"resourceType": "Patiant"}, "did you mean Patient"),
        (patient(gender="femal"), "allowed: female, male, other, unknown"),
        (patient(birthDate="2021-02-30"), "'2021-02-30' is not a correct date"),
        (patient(active="true"), "true or false, without quotes"),
        (observation(value="x"), "valueQuantity"),
        (observation(valueDecimal=1), "valueInteger"),
        (observation(subject={"reference": "Device2/1"}), "Patient/123"),
        (observation(valueQuantity={"value": 1, "code": "kg"}), "qty-3"),
        (observation(valueQuantity={"value": 1, "code": "kg"}), "code.empty() or system.exists()"),
        ({"resourceType": "Observation", "code": {"text": "x"}}, "amended"),
        (condition(clinicalStatus={"text": "active"}), "condition-clinical: active"),
    ],
)
def test_diagnostics_say_what_would_be_right(resource: dict[str, Any], said: str) -> None:
    assert said in " ".join(issue.diagnostics for issue in issues(resource, warnings=False))


def test_a_recommended_narrative_is_a_warning_that_can_be_left_out() -> None:
    found = issues(patient())
    assert [(issue.severity, issue.code, issue.expression) for issue in found] == [("warning", "invariant", "Patient")]
    assert "dom-6" in found[0].diagnostics
    assert issues(patient(), warnings=False) == []
    assert issues(patient(text={"status": "generated", "div": DIV})) == []


def test_contained_resources_need_no_narrative() -> None:
    assert [issue.expression for issue in issues(practitioner_contained())] == ["Patient"]


def test_another_type_than_the_url_says_is_an_error() -> None:
    assert [(i.code, i.expression) for i in issues(patient(), "Group", warnings=False)] == [("invalid", "Patient")]
    assert issues(patient(), "Patient", warnings=False) == []


def test_the_list_of_issues_is_bounded() -> None:
    found = issues(patient(name=[{"x": 1}] * 5000))
    assert len(found) == MAX_ISSUES + 1
    assert (found[-1].severity, found[-1].code) == ("information", "informational")


def test_values_are_quoted_in_short() -> None:
    found = issues(patient(birthDate="x" * 1000, **{"y" * 1000: 1}), warnings=False)
    assert max(len(issue.diagnostics) + len(issue.expression) for issue in found) < 600
