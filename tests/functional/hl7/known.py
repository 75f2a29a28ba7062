"""Values that no message writes as they are: what the meaning of a field, an event or a code gives. docs/hl7.md"""

from __future__ import annotations

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
    "urn:ietf:rfc3986",
    "urn:hl7:north:location",
    "urn:hl7:north:US-DL",
)
"""What HL7 v2 names otherwise or not at all: code systems, places of the feed "north", licences to drive."""

VALUES: Final[dict[str, frozenset[str]]] = {
    element: frozenset(line.strip() for line in lines.strip().splitlines())
    for element, lines in {
        # How to reach somebody, and what their names, addresses and numbers are for.
        "system": "phone\nemail\nfax\npager\nother\nurl",
        "use": "home\nwork\nmobile\nold\nofficial\nusual\nmaiden\nanonymous\ntemp\nbilling\nnickname",
        "type": "postal\nallergy\nDevice\nServiceRequest\nProcedure",
        # Codes of FHIR.
        "status": """
            active\ninactive\nplanned\nin-progress\nfinished\ncancelled\ncompleted\nreserved\nfinal\npartial\npreliminary
            registered\navailable\non-hold\nrevoked\nunknown\nonleave\nentered-in-error
        """,
        "active": "True\nFalse",
        "deceasedBoolean": "True\nFalse",
        "gender": "male\nfemale\nother\nunknown",
        "mode": "instance",
        "intent": "order",
        "priority": "routine\nasap\nstat",
        "category": "environment\nmedication\nfood",
        "criticality": "low\nhigh",
        "severity": "mild\nmoderate\nsevere",
        # What a field means, or what the code that was sent is called elsewhere.
        "code": """
            VN\nMR\nSS\nDL\nAN\nMB\nPLAC\nFILL\nPGN\nSHIP\nREF\nATND\nADM\nCON\nPART\nPRENC\nIMP\nAMB\nEMER\nUR\nEL\nEM
            AD\nd\nbu\nlvl\nwa\nro\nbd\nsi\nactive\nconfirmed\nprovisional\nencounter-diagnosis\nplan\ngroup\nGUAR\nMTH
            CHILD\nSPS\nOF\n446050000\n1009
        """,
        "display": """
            referrer\nattender\nadmitter\nconsultant\nParticipation\npre-admission\ninpatient encounter\nambulatory
            emergency\nurgent\nelective\nAdmission Diagnosis\nPCP - Primary care physician\nWard\nRoom\nBuilding\nBed
            Level\nSite\nAbnormal\nNormal\nBetter\nLow\nCritical high\nMarried\nNever Married\nspouse\nmother\nchild
            brother\nguarantor\nEmergency Contact\nOutpatient facility\nFuruncle\nPhenol\nClotted
        """,
        "text": "temporary\nanaesthetist\nsurgeon\nprocedure practitioner\nunknown",
        "unit": "days",
    }.items()
}
"""The values of an element that are right although no message has them."""


def known(element: str, text: str) -> bool:
    """Whether a value needs no message to say it."""
    return text in VALUES.get(element, ()) or (element == "system" and text.startswith(SYSTEMS))
