"""Every search parameter of some types with every value that has broken a server.

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from fhir_server.search.registry import parameters
from tests.functional.conftest import Api
from tests.functional.test_search_hostile import MODIFIERS, SNIPPETS

TYPES = ("Patient", "Observation", "Location", "ValueSet", "RiskAssessment", "PlanDefinition", "Claim")
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("resource_type", TYPES)
def test_every_parameter_with_every_value(api: Api, resource_type: str) -> None:
    wrong = []
    for code in parameters(resource_type):
        for modifier in ("", *MODIFIERS):
            for value in SNIPPETS:
                body = urlencode([(code + modifier, value)], errors="surrogatepass").encode()
                answer = api.post(f"{resource_type}/_search", body, Content_Type=FORM)
                if answer.status not in (200, 400, 404):
                    wrong.append((code, modifier, value, answer.status))
                if answer.status == 400 and (b"modifier" in answer.data or b"is no chain" in answer.data):
                    break
    assert not wrong
