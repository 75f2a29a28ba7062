"""The official examples that break rules of FHIR themselves, each with the reason. https://hl7.org/fhir/R4/downloads.html"""

from __future__ import annotations

# Forms generated from the resource definitions: their nested items have no linkId, which is required; some groups have
# no items (que-1) or one linkId twice (que-2).
GENERATED_FORMS = """
    account activitydefinition actualgroup adverseevent allergyintolerance appointment auditevent basic binary
    bmi bodyheight bp bundle careteam catalog catalogentry cdshooksguidanceresponse claim codesystem
    communication conceptmap coverage cqf-questionnaire devicedefinition devicemetricobservation
    documentmanifest effectevidencesynthesis encounter endpoint enrollmentresponse episodeofcare
    evidencevariable examplescenario explanationofbenefit familymemberhistory-genetic flag goal graphdefinition
    group guidanceresponse hdlcholesterol heartrate imagingstudy immunizationrecommendation implementationguide
    invoice ldlcholesterol library linkage lipidprofile location measure measurereport medication
    medicationknowledge medicationrequest medicinalproduct medicinalproductauthorization
    medicinalproductcontraindication medicinalproductingredient messageheader molecularsequence namingsystem
    nutritionorder observation operationdefinition operationoutcome organization paymentnotice
    paymentreconciliation plandefinition practitioner practitionerrole questionnaire questionnaireresponse
    relatedperson researchsubject resprate schedule servicerequest servicerequest-genetics
    shareableactivitydefinition shareablecodesystem slot specimen structuredefinition subscription
    substancenucleicacid substancepolymer substanceprotein substancereferenceinformation terminologycapabilities
    valueset visionprescription vitalsigns
"""

INVALID_EXAMPLES: dict[str, tuple[str, str]] = {
    "devicemetric-example.json": (
        "DeviceMetric.parent.reference",
        "names a DeviceDefinition where only a Device is allowed",
    ),
    "medicationrequest0301.json": (
        "MedicationRequest.dispenseRequest.performer.reference",
        "names a Practitioner where only an Organization is allowed",
    ),
    "observation-example-clinical-gender.json": (
        "Observation.performer[0].reference",
        "names an Encounter, which does not perform observations",
    ),
    "questionnaire-zika-virus-exposure-assessment.json": (
        "Questionnaire.text.div",
        "holds white space only (txt-2)",
    ),
}
"""File name to the place of the first error and the reason."""

INVALID_EXAMPLES |= {
    f"{name}-questionnaire.json": ("Questionnaire.item[0].item[0].linkId", "items without linkId")
    for name in GENERATED_FORMS.split()
}

INVALID_DEFINITIONS: dict[str, str] = {
    "SearchParameter.base": "search parameters of extensions do not say what they are for",
    "SearchParameter.id": "an id of more than 64 characters",
    "StructureDefinition": "sdf-4: four patterns (Definition, Event, FiveWs, Request) have no baseDefinition",
}
"""The same for the definitions: the places of all errors in them."""
