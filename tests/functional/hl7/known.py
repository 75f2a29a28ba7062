"""Values that no message writes as they are: what the meaning of a field, an event or a code gives. docs/hl7.md"""

from __future__ import annotations

import re
from typing import Final

SYSTEMS: Final = (
    "http://terminology.hl7.org/CodeSystem/",
    "http://hl7.org/fhir/",
    "http://snomed.info/sct",
    "http://loinc.org",
    "http://unitsofmeasure.org",
    "http://dicom.nema.org/resources/ontology/DCM",
    "urn:iso:std:iso:3166",
    "urn:oid:2.16.840.1.113883.6.238",
    "urn:ietf:rfc:3986",
    "urn:hl7:north:location",
    "urn:hl7:north:device",
    "urn:hl7:north:US-DL",
    "urn:hl7:north:prescription",
    "urn:hl7:north:document-file",
    "urn:hl7:north:medicare",
    "urn:hl7:north:medicaid",
)
"""What HL7 v2 names otherwise or not at all: code systems, places of the feed "north", licences to drive."""

VALUES: Final[dict[str, frozenset[str]]] = {
    element: frozenset(value.strip() for value in re.split(r"[;\n]", values) if value.strip())
    for element, values in {
        # How to reach somebody, and what their names, addresses and numbers are for.
        "system": "phone; email; fax; pager; other; url",
        "outcome": "complete",
        "use": """
            home; work; mobile; old; official; usual; maiden; anonymous; temp; billing; nickname; claim
            preauthorization
        """,
        "type": "user-friendly-name; postal; allergy; Device; ServiceRequest; Procedure; Condition",
        # Codes of FHIR.
        "status": """
            active; inactive; planned; in-progress; finished; cancelled; completed; reserved; final; partial
            preliminary; registered; available; on-hold; revoked; unknown; onleave; entered-in-error
            current; billable; requested; accepted; declined
        """,
        "active": "True; False",
        "deceasedBoolean": "True; False",
        "gender": "male; female; other; unknown",
        "mode": "instance",
        "intent": "order",
        "priority": "routine; asap; stat",
        "category": "environment; medication; food",
        "criticality": "low; high",
        "severity": "mild; moderate; severe",
        "contentType": "image/jpeg; image/pict; application/octet-stream; application/pdf",
        "periodUnit": "d",
        # Of lengths: PR1-7, SCH-9 and AIS-7, TQ1-13, TQ1-3.
        "end": "2005-01-25T11:42:00+01:00; 2021-09-24T10:20:00-04:00",
        "durationUnit": "h",
        "offset": "60",
        "primarySource": "True",
        "valueBoolean": "True; False",
        "unit": "days; d",
        "url": """
            code; ombCategory; detailed; text; species; breed; original-sub-identifier; group; sequence; identifier
        """,
        # What a field means, or what the code that was sent is called elsewhere.
        "code": """
            VN; RXN; MR; SS; DL; AN; MB; PLAC; FILL; PGN; SHIP; REF; ATND; ADM; CON; PART; PRENC; IMP; AMB; EMER; UR; EL
            EM; AD; d; IVINJ; appends; replaces; bu; lvl; wa; ro; bd; si; active; confirmed; provisional
            problem-list-item; 3457005; fulfill; benefit; professional
            encounter-diagnosis; plan; group; inpatient; institutional; normal
            enterer; verifier; author; performer; CREATE; PATRQT; HOPERAT
            GUAR; MTH; CHILD; SPS; OF; 446050000; 1009; AP; OP; EI; MC; MA; 373110003
        """,
        "display": """
            referrer; attender; admitter; consultant; Participation; pre-admission; inpatient encounter; ambulatory
            emergency; urgent; elective; Admission Diagnosis; PCP - Primary care physician; Ward; Room; Building; Bed
            Level; Site; Abnormal; Normal; Better; Low; Critical high; Married; Never Married; spouse; mother; child
            brother; guarantor; Emergency Contact; Outpatient facility; Furuncle; Phenol; Clotted; Swallow, oral
            Injection, intravenous; Problem List Item; Patient referral; Fulfill the focal request; Hand
            Emergency procedure (procedure); patient requested; healthcare operations
        """,
        "text": """
            prescription number; temporary; anaesthetist; surgeon; procedure practitioner; unknown; placer contact
            filler contact; enterer; Accident; Job related; Death; Police notified; Location; Address
            Ordered: Ampicillin 250 mg caps; Device: IV PUSH; Treatments requested: 1; Treatments authorized: 1
        """,
        "title": "not sent",
    }.items()
}
"""The values of an element that are right although no message has them."""


def known(element: str, text: str) -> bool:
    """Whether a value needs no message to say it."""
    return text in VALUES.get(element, ()) or (element in ("system", "url") and text.startswith(SYSTEMS))
