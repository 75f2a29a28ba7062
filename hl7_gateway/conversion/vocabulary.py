"""Codes of HL7 v2 and what they are called in FHIR. https://hl7.org/fhir/uv/v2mappings/coding_system_maps.html"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from hl7_gateway.conversion.corrections import CORRECTIONS
from hl7_gateway.remembering import remembered


class Target(NamedTuple):
    """A code of FHIR."""

    code: str
    system: str
    display: str


@cache
def vocabulary(name: str) -> Mapping[str, Target]:
    """The map of a name. Raises KeyError where there is none."""
    return _all()[name]


@cache
def _all() -> Mapping[str, Mapping[str, Target]]:
    packed = json.loads(gzip.decompress((Path(__file__).parent / "vocabularies.json.gz").read_bytes()))
    maps = {name: {code: Target(*target) for code, target in codes.items()} for name, codes in packed.items()}
    for name, codes in CORRECTIONS.items():
        maps.setdefault(name, {}).update({code: Target(*target) for code, target in codes.items()})
    return MappingProxyType(maps)


TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"

CODE_SYSTEMS: Final[Mapping[str, str]] = {
    "LN": "http://loinc.org",
    "LNC": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNOMED-CT": "http://snomed.info/sct",
    "SNOMEDCT": "http://snomed.info/sct",
    "SNOMED": "http://snomed.info/sct",
    "SCT2": "http://snomed.info/sct",
    "UCUM": "http://unitsofmeasure.org",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9CDX": "http://hl7.org/fhir/sid/icd-9-cm",
    "ICD9": "http://hl7.org/fhir/sid/icd-9-cm",
    "ICD9CM": "http://hl7.org/fhir/sid/icd-9-cm",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10P": "http://www.cms.gov/Medicare/Coding/ICD10",
    "C4": "http://www.ama-assn.org/go/cpt",
    "CPT": "http://www.ama-assn.org/go/cpt",
    "CPT4": "http://www.ama-assn.org/go/cpt",
    "HPC": "http://terminology.hl7.org/CodeSystem/hcpcs-Level-II",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "NDCN": "http://hl7.org/fhir/sid/ndc",
    "CVX": "http://hl7.org/fhir/sid/cvx",
    "MVX": "http://terminology.hl7.org/CodeSystem/MVX",
    "CDCREC": "urn:oid:2.16.840.1.113883.6.238",
    "ISO3166_1": "urn:iso:std:iso:3166",
    "ISO639-1": "urn:ietf:bcp:47",
    "ISO6392": "urn:ietf:bcp:47",
    "BCP47": "urn:ietf:bcp:47",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "MDC": "urn:iso:std:iso:11073:10101",
    "UNII": "http://fdasis.nlm.nih.gov",
    "NUCC": "http://nucc.org/provider-taxonomy",
    "ACT": TERMINOLOGY + "v3-ActCode",
    "SNM": "http://terminology.hl7.org/CodeSystem/snm",
    "ATC": "http://www.whocc.no/atc",
}
"""Coding systems of HL7 table 0396, and what FHIR calls them. https://terminology.hl7.org/external_terminologies.html"""

_TABLE: Final = re.compile(r"(?:HL7|HL7-|TABLE )?([0-9]{4})")


@remembered(4096)
def known_system(name: str) -> str:
    """The URI of a coding system by the name that HL7 v2 has for it; "" where it is a local one."""
    upper = name.strip().upper()
    if upper in CODE_SYSTEMS:
        return CODE_SYSTEMS[upper]
    table = _TABLE.fullmatch(upper)
    if table:
        return f"{TERMINOLOGY}v2-{table[1]}"
    if re.fullmatch(r"[0-2](\.(0|[1-9][0-9]*))+", upper):
        return "urn:oid:" + upper
    return name if name.startswith(("http://", "https://", "urn:")) else ""
