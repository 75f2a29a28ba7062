"""The search parameters that the oracle knows, written out by hand. https://hl7.org/fhir/R4/searchparameter-registry.html

A path is ``element.element:Type``; ``element[name=value]`` takes the items where an element has a value,
``Type(Patient)`` the references to patients, ``code=SYSTEM`` a code whose system its binding implies.
"""

from __future__ import annotations

from dataclasses import dataclass

ANY = (
    "CareTeam ChargeItem Claim CodeSystem Condition DocumentReference Encounter Group Library List Location "
    "MedicationRequest Observation Organization Patient PlanDefinition Practitioner PractitionerRole Provenance "
    "RiskAssessment ServiceRequest Task ValueSet"
)
"""The types of the universe, for references that may go anywhere."""


@dataclass(frozen=True)
class Parameter:
    """A search parameter: its type, where its values are, what types it refers to, and the parts of a composite."""

    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()
    parts: tuple[Parameter, ...] = ()


def _of(kind: str, *paths: str, to: str = "") -> Parameter:
    return Parameter(kind, paths, tuple(to.split()))


def token(*paths: str) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#token"""
    return _of("token", *paths)


def string(*paths: str) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#string"""
    return _of("string", *paths)


def date(*paths: str) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#date"""
    return _of("date", *paths)


def quantity(*paths: str) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#quantity"""
    return _of("quantity", *paths)


def uri(*paths: str) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#uri"""
    return _of("uri", *paths)


def reference(*paths: str, to: str) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#reference"""
    return _of("reference", *paths, to=to)


def composite(path: str, *parts: Parameter) -> Parameter:
    """https://hl7.org/fhir/R4/search.html#composite; the paths of the parts start at what ``path`` leads to."""
    return Parameter("composite", (path,), (), parts)


def _code(name: str) -> str:
    return f"code=http://hl7.org/fhir/{name}"


_PATIENT = reference("subject:Reference(Patient)", to="Patient Group")
_IDENTIFIER = token("identifier:Identifier")
_CODE = token("code:CodeableConcept")
_ENCOUNTER = reference("encounter:Reference", to="Encounter")
_PEOPLE = "Practitioner Organization Patient PractitionerRole"
_ADDRESS = {
    "address": string("address:Address"),
    "address-city": string("address.city:string"),
    "address-postalcode": string("address.postalCode:string"),
    "address-country": string("address.country:string"),
    "address-use": token(f"address.use:{_code('address-use')}"),
}
_NAMES = {
    "name": string("name:HumanName"),
    "family": string("name.family:string"),
    "given": string("name.given:string"),
    "gender": token(f"gender:{_code('administrative-gender')}"),
}
_TELECOM = {
    "telecom": token("telecom:ContactPoint"),
    "phone": token("telecom[system=phone]:ContactPoint"),
    "email": token("telecom[system=email]:ContactPoint"),
}
_VALUES = ("valueQuantity:Quantity", "valueSampledData:SampledData")
_COMPONENTS = tuple(f"component.{path}" for path in _VALUES)


def _definition() -> dict[str, Parameter]:
    code = token("code:Coding")
    return {
        "url": uri("url:uri"),
        "version": token("version:string"),
        "name": string("name:string"),
        "title": string("title:string"),
        "status": token(f"status:{_code('publication-status')}"),
        "date": date("date:dateTime"),
        "description": string("description:markdown"),
        "context": token("useContext.valueCodeableConcept:CodeableConcept"),
        "context-type": token("useContext.code:Coding"),
        "context-quantity": quantity("useContext.valueQuantity:Quantity", "useContext.valueRange:Range"),
        "context-type-quantity": composite("useContext", code, quantity("valueQuantity:Quantity", "valueRange:Range")),
        "context-type-value": composite("useContext", code, token("valueCodeableConcept:CodeableConcept")),
    }


COMMON = {
    "_id": token("id:id"),
    "_tag": token("meta.tag:Coding"),
    "_security": token("meta.security:Coding"),
    "_profile": uri("meta.profile:canonical"),
    "_source": uri("meta.source:uri"),
    "_text": _of("words", "text.div:xhtml"),
    "_content": _of("words", ":content"),
}

PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Organization": {
        "identifier": _IDENTIFIER,
        "active": token("active:boolean"),
        "name": string("name:string", "alias:string"),
        "type": token("type:CodeableConcept"),
        "partof": reference("partOf:Reference", to="Organization"),
        **_ADDRESS,
    },
    "Practitioner": {
        "identifier": _IDENTIFIER,
        "active": token("active:boolean"),
        **_NAMES,
        **_TELECOM,
        **_ADDRESS,
    },
    "PractitionerRole": {
        "identifier": _IDENTIFIER,
        "active": token("active:boolean"),
        **_TELECOM,
        "date": date("period:Period"),
        "role": _CODE,
        "practitioner": reference("practitioner:Reference", to="Practitioner"),
        "organization": reference("organization:Reference", to="Organization"),
        "location": reference("location:Reference", to="Location"),
    },
    "Patient": {
        "identifier": _IDENTIFIER,
        "active": token("active:boolean"),
        "birthdate": date("birthDate:date"),
        "deceased": token(":deceased"),
        "death-date": date("deceasedDateTime:dateTime"),
        **_TELECOM,
        "language": token("communication.language:CodeableConcept"),
        "general-practitioner": reference(
            "generalPractitioner:Reference", to="Practitioner Organization PractitionerRole"
        ),
        "organization": reference("managingOrganization:Reference", to="Organization"),
        "link": reference("link.other:Reference", to="Patient"),
        **_NAMES,
        **_ADDRESS,
    },
    "Location": {
        "identifier": _IDENTIFIER,
        "name": string("name:string", "alias:string"),
        "status": token(f"status:{_code('location-status')}"),
        "near": _of("near", "position:Position"),
        "organization": reference("managingOrganization:Reference", to="Organization"),
        "partof": reference("partOf:Reference", to="Location"),
        **_ADDRESS,
    },
    "Group": {
        "identifier": _IDENTIFIER,
        "actual": token("actual:boolean"),
        "code": _CODE,
        "characteristic": token("characteristic.code:CodeableConcept"),
        "exclude": token("characteristic.exclude:boolean"),
        "value": token("characteristic.valueCodeableConcept:CodeableConcept", "characteristic.valueBoolean:boolean"),
        "characteristic-value": composite(
            "characteristic", _CODE, token("valueCodeableConcept:CodeableConcept", "valueBoolean:boolean")
        ),
        "member": reference("member.entity:Reference", to="Practitioner Group Patient PractitionerRole"),
        "managing-entity": reference("managingEntity:Reference", to="Practitioner Organization PractitionerRole"),
    },
    "CareTeam": {
        "identifier": _IDENTIFIER,
        "category": token("category:CodeableConcept"),
        "status": token(f"status:{_code('care-team-status')}"),
        "date": date("period:Period"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient"),
        "participant": reference("participant.member:Reference", to=f"{_PEOPLE} CareTeam"),
    },
    "List": {
        "title": string("title:string"),
        "notes": string("note.text:markdown"),
        "date": date("date:dateTime"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient Location"),
        "item": reference("entry.item:Reference", to=ANY),
    },
    "Encounter": {
        "identifier": _IDENTIFIER,
        "status": token(f"status:{_code('encounter-status')}"),
        "class": token("class:Coding"),
        "type": token("type:CodeableConcept"),
        "date": date("period:Period"),
        "length": quantity("length:Quantity"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient"),
        "participant": reference("participant.individual:Reference", to="Practitioner PractitionerRole"),
        "practitioner": reference("participant.individual:Reference(Practitioner)", to="Practitioner"),
        "participant-type": token("participant.type:CodeableConcept"),
        "reason-reference": reference("reasonReference:Reference", to="Condition Observation"),
        "location": reference("location.location:Reference", to="Location"),
        "location-period": date("location.period:Period"),
        "service-provider": reference("serviceProvider:Reference", to="Organization"),
        "part-of": reference("partOf:Reference", to="Encounter"),
    },
    "Observation": {
        "identifier": _IDENTIFIER,
        "status": token(f"status:{_code('observation-status')}"),
        "category": token("category:CodeableConcept"),
        "code": _CODE,
        "component-code": token("component.code:CodeableConcept"),
        "combo-code": token("code:CodeableConcept", "component.code:CodeableConcept"),
        "data-absent-reason": token("dataAbsentReason:CodeableConcept"),
        "method": token("method:CodeableConcept"),
        "date": date(
            "effectiveDateTime:dateTime", "effectivePeriod:Period", "effectiveTiming:Timing", "effectiveInstant:instant"
        ),
        "value-date": date("valueDateTime:dateTime", "valuePeriod:Period"),
        "value-quantity": quantity(*_VALUES),
        "component-value-quantity": quantity(*_COMPONENTS),
        "combo-value-quantity": quantity(*_VALUES, *_COMPONENTS),
        "value-concept": token("valueCodeableConcept:CodeableConcept"),
        "component-value-concept": token("component.valueCodeableConcept:CodeableConcept"),
        "value-string": string("valueString:string", "valueCodeableConcept.text:string"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient Location"),
        "focus": reference("focus:Reference", to=ANY),
        "encounter": _ENCOUNTER,
        "performer": reference("performer:Reference", to=f"{_PEOPLE} CareTeam"),
        "based-on": reference("basedOn:Reference", to="MedicationRequest ServiceRequest"),
        "has-member": reference("hasMember:Reference", to="Observation"),
        "code-value-quantity": composite("", _CODE, quantity("valueQuantity:Quantity")),
        "code-value-concept": composite("", _CODE, token("valueCodeableConcept:CodeableConcept")),
        "code-value-string": composite("", _CODE, string("valueString:string")),
        "code-value-date": composite("", _CODE, date("valueDateTime:dateTime", "valuePeriod:Period")),
        "component-code-value-quantity": composite("component", _CODE, quantity("valueQuantity:Quantity")),
        "component-code-value-concept": composite("component", _CODE, token("valueCodeableConcept:CodeableConcept")),
    },
    "Condition": {
        "identifier": _IDENTIFIER,
        "clinical-status": token("clinicalStatus:CodeableConcept"),
        "verification-status": token("verificationStatus:CodeableConcept"),
        "category": token("category:CodeableConcept"),
        "severity": token("severity:CodeableConcept"),
        "code": _CODE,
        "onset-date": date("onsetDateTime:dateTime", "onsetPeriod:Period"),
        "onset-age": quantity("onsetAge:Quantity", "onsetRange:Range"),
        "onset-info": string("onsetString:string"),
        "recorded-date": date("recordedDate:dateTime"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient"),
        "encounter": _ENCOUNTER,
        "asserter": reference("asserter:Reference", to="Practitioner Patient PractitionerRole"),
        "evidence-detail": reference("evidence.detail:Reference", to=ANY),
    },
    "MedicationRequest": {
        "identifier": _IDENTIFIER,
        "status": token("status:code=http://hl7.org/fhir/CodeSystem/medicationrequest-status"),
        "intent": token("intent:code=http://hl7.org/fhir/CodeSystem/medicationrequest-intent"),
        "priority": token(f"priority:{_code('request-priority')}"),
        "code": token("medicationCodeableConcept:CodeableConcept"),
        "authoredon": date("authoredOn:dateTime"),
        "date": date("dosageInstruction.timing.event:dateTime"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient"),
        "encounter": _ENCOUNTER,
        "requester": reference("requester:Reference", to=_PEOPLE),
    },
    "ServiceRequest": {
        "identifier": _IDENTIFIER,
        "requisition": token("requisition:Identifier"),
        "status": token(f"status:{_code('request-status')}"),
        "intent": token(f"intent:{_code('request-intent')}"),
        "priority": token(f"priority:{_code('request-priority')}"),
        "code": _CODE,
        "authored": date("authoredOn:dateTime"),
        "occurrence": date("occurrenceDateTime:dateTime", "occurrencePeriod:Period", "occurrenceTiming:Timing"),
        "instantiates-canonical": reference("instantiatesCanonical:canonical", to="PlanDefinition"),
        "instantiates-uri": uri("instantiatesUri:uri"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient Location"),
        "encounter": _ENCOUNTER,
        "requester": reference("requester:Reference", to=_PEOPLE),
        "performer": reference("performer:Reference", to=f"{_PEOPLE} CareTeam"),
        "based-on": reference("basedOn:Reference", to="MedicationRequest ServiceRequest"),
    },
    "RiskAssessment": {
        "identifier": _IDENTIFIER,
        "probability": Parameter(
            "number", ("prediction.probabilityDecimal:decimal", "prediction.probabilityRange:Range")
        ),
        "date": date("occurrenceDateTime:dateTime"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Group Patient"),
        "encounter": _ENCOUNTER,
        "condition": reference("condition:Reference", to="Condition"),
        "performer": reference("performer:Reference", to="Practitioner PractitionerRole"),
    },
    "ChargeItem": {
        "code": _CODE,
        "quantity": quantity("quantity:Quantity"),
        "price-override": quantity("priceOverride:Money"),
        "factor-override": Parameter("number", ("factorOverride:decimal",)),
        "occurrence": date("occurrenceDateTime:dateTime"),
        "patient": reference("subject:Reference(Patient)", to="Patient"),
        "subject": reference("subject:Reference", to="Group Patient"),
        "context": reference("context:Reference", to="Encounter"),
        "performer-actor": reference("performer.actor:Reference", to=f"{_PEOPLE} CareTeam"),
    },
    "DocumentReference": {
        "identifier": _IDENTIFIER,
        "status": token(f"status:{_code('document-reference-status')}"),
        "type": token("type:CodeableConcept"),
        "date": date("date:instant"),
        "period": date("context.period:Period"),
        "description": string("description:string"),
        "contenttype": token("content.attachment.contentType:code=urn:ietf:bcp:13"),
        "language": token("content.attachment.language:code"),
        "location": uri("content.attachment.url:uri"),
        "patient": _PATIENT,
        "subject": reference("subject:Reference", to="Practitioner Group Patient"),
        "author": reference("author:Reference", to=_PEOPLE),
        "custodian": reference("custodian:Reference", to="Organization"),
        "encounter": reference("context.encounter:Reference", to="Encounter"),
        "relatesto": reference("relatesTo.target:Reference", to="DocumentReference"),
        "relation": token(f"relatesTo.code:{_code('document-relationship-type')}"),
        "relationship": composite(
            "relatesTo",
            token(f"code:{_code('document-relationship-type')}"),
            reference("target:Reference", to="DocumentReference"),
        ),
    },
    "Task": {
        "identifier": _IDENTIFIER,
        "status": token(f"status:{_code('task-status')}"),
        "priority": token(f"priority:{_code('request-priority')}"),
        "code": _CODE,
        "authored-on": date("authoredOn:dateTime"),
        "period": date("executionPeriod:Period"),
        "patient": reference("for:Reference(Patient)", to="Patient"),
        "subject": reference("for:Reference", to=ANY),
        "focus": reference("focus:Reference", to=ANY),
        "based-on": reference("basedOn:Reference", to=ANY),
        "encounter": _ENCOUNTER,
        "owner": reference("owner:Reference", to=f"{_PEOPLE} CareTeam"),
    },
    "Provenance": {
        "recorded": date("recorded:instant"),
        "when": date("occurredDateTime:dateTime"),
        "target": reference("target:Reference", to=ANY),
        "patient": reference("target:Reference(Patient)", to="Patient"),
        "location": reference("location:Reference", to="Location"),
        "agent": reference("agent.who:Reference", to=_PEOPLE),
        "agent-type": token("agent.type:CodeableConcept"),
    },
    "Claim": {
        "identifier": _IDENTIFIER,
        "status": token(f"status:{_code('fm-status')}"),
        "use": token(f"use:{_code('claim-use')}"),
        "priority": token("priority:CodeableConcept"),
        "created": date("created:dateTime"),
        "patient": reference("patient:Reference", to="Patient"),
        "insurer": reference("insurer:Reference", to="Organization"),
        "provider": reference("provider:Reference", to="Practitioner Organization PractitionerRole"),
        "care-team": reference("careTeam.provider:Reference", to="Practitioner Organization PractitionerRole"),
        "encounter": reference("item.encounter:Reference", to="Encounter"),
    },
    "ValueSet": {
        **_definition(),
        "code": token("expansion.contains.code:code", "compose.include.concept.code:code"),
        "reference": uri("compose.include.system:uri"),
    },
    "CodeSystem": {
        "url": uri("url:uri"),
        "system": uri("url:uri"),
        "name": string("name:string"),
        "status": token(f"status:{_code('publication-status')}"),
        "content-mode": token(f"content:{_code('codesystem-content-mode')}"),
        "code": token("concept.code:code"),
    },
    "Library": {
        **_definition(),
        "type": token("type:CodeableConcept"),
        "effective": date("effectivePeriod:Period"),
        "depends-on": reference("relatedArtifact[type=depends-on].resource:canonical", to=ANY),
        "composed-of": reference("relatedArtifact[type=composed-of].resource:canonical", to=ANY),
    },
    "PlanDefinition": {
        **_definition(),
        "depends-on": reference("library:canonical", to=ANY),
        "definition": reference("action.definitionCanonical:canonical", to="PlanDefinition"),
    },
}
for _found in PARAMETERS.values():
    _found.update(COMMON)
