"""Resources made to be costly: the time grows with the size, not with its square. https://hl7.org/fhir/R4/security.html"""

from __future__ import annotations

import time
from typing import Any

import pytest

from fhir_server.validation.issues import issues
from fhir_server.validation.structure import is_valid

N = 20_000


def codings(system: str) -> list[dict[str, str]]:
    return [{"system": system, "code": str(number)} for number in range(N)]


RESOURCES: dict[str, dict[str, Any]] = {
    "an observation with a thousand components (obs-7)": {
        "resourceType": "Observation",
        "status": "final",
        "valueInteger": 1,
        "code": {"coding": codings("http://example.org/a")},
        "component": [{"code": {"coding": [coding]}, "valueInteger": 1} for coding in codings("http://example.org/b")],
    },
    "contained resources and references to none of them": {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": f"o{number}", "name": "x"} for number in range(N)],
        "generalPractitioner": [{"reference": "#x"}] * 1000,
    },
    "contained resources that all refer to each other": {
        "resourceType": "Patient",
        "contained": [
            {
                "resourceType": "Organization",
                "id": f"o{number}",
                "name": "x",
                "partOf": {"reference": f"#o{number - 1}"},
            }
            for number in range(N)
        ],
    },
    "a code system (csd-1)": {
        "resourceType": "CodeSystem",
        "status": "draft",
        "content": "complete",
        "concept": [{"code": str(number)} for number in range(N)],
    },
    "a questionnaire (que-2)": {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": str(number), "type": "display", "text": "x"} for number in range(N)],
    },
    "a bundle (bdl-7)": {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"urn:x:{number}", "resource": {"resourceType": "Patient"}} for number in range(N)],
    },
    "a structure (eld-13, eld-14, sdf-8)": {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/A",
        "name": "A",
        "status": "draft",
        "kind": "logical",
        "abstract": True,
        "type": "A",
        "differential": {
            "element": [
                {
                    "id": "A",
                    "path": "A",
                    "type": [{"code": f"c{number}"} for number in range(N)],
                    "constraint": [
                        {"key": f"c{number}", "severity": "error", "human": "x", "expression": "true"}
                        for number in range(N)
                    ],
                }
            ]
            + [{"id": f"A.b{number}", "path": f"A.b{number}"} for number in range(2000)]
        },
    },
    "unknown elements": {"resourceType": "Patient", **{f"x{number}": 1 for number in range(N)}},
    "extensions of primitives": {
        "resourceType": "Patient",
        "name": [{"given": ["a"] * N, "_given": [{"extension": [{"url": "http://a", "valueString": "x"}]}] * N}],
    },
    "long names and values": {"resourceType": "Patient", "x" * 500_000: 1, "gender": "y" * 500_000},
}


@pytest.mark.parametrize("name", RESOURCES)
def test_the_time_is_bounded(name: str) -> None:
    start = time.process_time()
    is_valid(RESOURCES[name])
    fast = time.process_time() - start
    issues(RESOURCES[name])
    complete = time.process_time() - start - fast
    # Generous for slow machines; what is quadratic takes minutes.
    assert fast < 4
    assert complete < 15
