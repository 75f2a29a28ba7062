"""The roles of a clinic and what each may do at most: the one map. docs/access.md

A clinic may take permissions away (clinic setting ``narrowed``), never add any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from fhir_server.access.compartments import has_patients
from fhir_server.access.permissions import ACTIONS, Permission
from fhir_server.access.scopes import Scope
from fhir_server.r4 import definitions

_SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

PSYCHOTHERAPY = tuple(f"{_SENSITIVITY}|{code}" for code in ("PSY", "PSYTHPN", "MH"))
"""https://terminology.hl7.org/ValueSet-v3-InformationSensitivityPolicy.html"""

SUBSTANCE_USE = tuple(f"{_SENSITIVITY}|{code}" for code in ("ETH", "ETHUD", "OPIOIDUD", "SUD", "42CFRPart2"))
"""https://www.ecfr.gov/current/title-42/chapter-I/subchapter-A/part-2"""

SENSITIVE = (*PSYCHOTHERAPY, *SUBSTANCE_USE, *(f"{_SENSITIVITY}|{c}" for c in ("HIV", "SDV", "STD", "SEX", "GDIS")))
RESTRICTED = tuple(f"{_CONFIDENTIALITY}|{code}" for code in ("R", "V"))
"""https://hl7.org/fhir/R4/v3/Confidentiality/vs.html"""


def _types(text: str) -> frozenset[str]:
    return frozenset(text.split())


DIRECTORY = _types(
    """ActivityDefinition CapabilityStatement CatalogEntry ChargeItemDefinition CodeSystem CompartmentDefinition
    ConceptMap DeviceDefinition EffectEvidenceSynthesis Endpoint EventDefinition Evidence EvidenceVariable
    ExampleScenario GraphDefinition HealthcareService ImplementationGuide InsurancePlan Library Location Measure
    Medication MedicationKnowledge MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication
    MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured
    MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition
    NamingSystem ObservationDefinition OperationDefinition Organization OrganizationAffiliation PlanDefinition
    Practitioner PractitionerRole Questionnaire ResearchDefinition ResearchElementDefinition ResearchStudy
    RiskEvidenceSynthesis SearchParameter SpecimenDefinition StructureDefinition StructureMap Substance
    SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial
    SubstanceSpecification TerminologyCapabilities TestScript ValueSet"""
)
"""What tells nothing of any patient: who works where, what there is to order, and how data are to be read."""

_SCHEDULING = _types("Appointment AppointmentResponse Schedule Slot")
_MESSAGES = _types("Task Communication CommunicationRequest")
_BILLING = _types(
    """Account ChargeItem Claim ClaimResponse Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse
    EnrollmentRequest EnrollmentResponse ExplanationOfBenefit Invoice PaymentNotice PaymentReconciliation"""
)
_RESULTS = _types("DiagnosticReport Observation ServiceRequest")
_SOURCES = _types("Patient CareTeam Encounter Appointment ServiceRequest")
"""Types that say who cares for whom."""


def _about_patients() -> frozenset[str]:
    return frozenset(name for name in definitions.load().resource_types if has_patients(name))


_RECORD = _about_patients() - _types("AuditEvent Group Schedule Person")
"""What a patient's record consists of."""

_CHART = _RECORD - _BILLING
_OF_A_PATIENT = _types("Communication QuestionnaireResponse AppointmentResponse")


@dataclass(frozen=True, slots=True)
class Grant:
    """Some permissions that are alike: how far, for which types, which of SMART's letters.

    ``elements`` names what of a resource is shown: access/elements.py, "" for all of it. ``withheld`` are the security
    labels of what is not shown at all.
    """

    reach: str
    types: frozenset[str]
    letters: str
    elements: str = ""
    withheld: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """What people of one role may do at most. ``operations`` are those beyond reading and writing resources."""

    name: str
    grants: tuple[Grant, ...]
    operations: frozenset[str] = frozenset()

    def permissions(self) -> Iterator[Permission]:
        """Every permission by itself."""
        for grant in self.grants:
            for resource in sorted(grant.types):
                for action, letter in ACTIONS.items():
                    if letter in grant.letters:
                        yield Permission(grant.reach, resource, action)
        for operation in sorted(self.operations):
            yield Permission("clinic", "*", operation)


EVERY = frozenset({"*"})
_LABELLED = (*SENSITIVE, *RESTRICTED)

ROLES: Mapping[str, Role] = {
    role.name: role
    for role in (
        Role("super_admin", (Grant("clinic", EVERY, "rs"),), _types("audit access accounting")),
        Role(
            "clinic_admin",
            (Grant("clinic", EVERY, "cruds"),),
            _types(
                """explain reindex assign people clients audit access accounting alerts break-glass-acknowledge messages
                feeds"""
            ),
        ),
        Role(
            "executive",
            (
                Grant("clinic", DIRECTORY | _types("Slot"), "rs"),
                Grant("counts", _RECORD | _types("Task Person"), "s"),
            ),
        ),
        Role(
            "physician",
            (
                Grant("patients", _CHART | _types("Device Coverage Person"), "rs"),
                Grant("patients", _CHART - _types("Patient Consent") | _types("Device"), "cu"),
                Grant("patients", _types("Patient"), "u"),
                Grant("mine", _MESSAGES, "rsu"),
                Grant("mine", _types("Appointment Schedule"), "rs"),
                Grant("mine", _types("Task Communication CommunicationRequest"), "c"),
                Grant("clinic", DIRECTORY | _types("Slot Schedule"), "rs"),
            ),
            _types("break-glass"),
        ),
        Role(
            "staff",
            (
                Grant("clinic", _types("Patient RelatedPerson Person"), "crus", withheld=RESTRICTED),
                Grant("clinic", _SCHEDULING | _MESSAGES, "crus", withheld=_LABELLED),
                Grant("clinic", _types("Coverage Consent CareTeam EpisodeOfCare"), "rs", "", _LABELLED),
                Grant("clinic", _types("Encounter"), "rs", "schedule", _LABELLED),
                Grant("clinic", DIRECTORY, "rs"),
                Grant("clinic", _types("HealthcareService Location PractitionerRole"), "cu"),
            ),
        ),
        Role(
            "billing",
            (
                Grant("clinic", _BILLING, "crus"),
                Grant("clinic", _types("Patient RelatedPerson"), "rs", "demographics", RESTRICTED),
                Grant("clinic", _types("Condition Procedure Encounter"), "rs", "codes", _LABELLED),
                Grant("clinic", _types("Task"), "rs", "", _LABELLED),
                Grant("clinic", DIRECTORY, "rs"),
            ),
        ),
        Role(
            "attorney",
            (
                Grant("clients", _RECORD, "rs", "", (*PSYCHOTHERAPY, *SUBSTANCE_USE)),
                Grant("clinic", _types("Organization Practitioner PractitionerRole Location"), "rs"),
            ),
        ),
        Role(
            "referring_doctor",
            (
                Grant("referrals", _RESULTS | _types("Patient"), "rs", "summary", _LABELLED),
                Grant("clinic", _types("Organization Practitioner PractitionerRole Location HealthcareService"), "rs"),
            ),
        ),
        Role(
            "patient",
            (
                Grant("own", _RECORD | _types("AuditEvent"), "rs"),
                Grant("own", _OF_A_PATIENT, "c"),
                Grant("clinic", DIRECTORY | _types("Slot Schedule"), "rs"),
            ),
            _types("accounting"),
        ),
    )
}
"""Every role that a person may have. https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(d)"""

SYSTEM = Role(
    "system",
    (Grant("clinic", EVERY, "cruds"),),
    _types("explain reindex assign audit access accounting alerts break-glass-acknowledge"),
)
"""A client that acts for nobody: what its registered scopes say, and nothing beyond."""


def narrowed(role: Role, removed: Iterable[str]) -> Role:
    """The role without the permissions that a clinic has taken away, named by their keys, with * for any part."""
    lost = [tuple(key.split(":")) for key in removed]
    if not lost:
        return role
    return replace(
        role,
        grants=tuple(one for grant in role.grants for one in _without(grant, lost)),
        operations=frozenset(
            name
            for name in role.operations
            if not any(part[0] in ("*", "clinic") and part[2] in ("*", name) for part in lost)
        ),
    )


def _without(grant: Grant, lost: list[tuple[str, ...]]) -> Iterator[Grant]:
    """What is left of a grant, in as many grants as differ in their letters."""
    taken = [part for part in lost if part[0] in ("*", grant.reach)]
    if not taken:
        yield grant
        return
    types = definitions.load().resource_types if grant.types == EVERY else sorted(grant.types)
    left: dict[str, list[str]] = {}
    for name in types:
        gone = {ACTIONS.get(part[2], part[2]) for part in taken if part[1] in ("*", name)}
        letters = "" if "*" in gone else "".join(letter for letter in grant.letters if letter not in gone)
        if letters:
            left.setdefault(letters, []).append(name)
    for letters, names in left.items():
        yield replace(grant, types=frozenset(names), letters=letters)


def grantable(roles: Iterable[str], scope: Scope) -> Scope | None:
    """What of a scope people with these roles can be granted at all: fewer letters, or None for nothing.

    Whether any resource is within reach is decided with every request; this tells what to ask a person about.
    https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
    """
    if scope.context == "system":
        return None
    letters = _letters(tuple(sorted(set(roles))), scope.resource_type)
    kept = "".join(letter for letter in scope.letters if letter in letters)
    return replace(scope, letters=kept) if kept else None


@cache
def _letters(roles: tuple[str, ...], resource_type: str) -> frozenset[str]:
    grants = [grant for name in roles if name in ROLES for grant in ROLES[name].grants]
    return frozenset(
        letter
        for grant in grants
        if resource_type == "*" or grant.types == EVERY or resource_type in grant.types
        for letter in grant.letters
    )
