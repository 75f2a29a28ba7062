"""https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html"""

from __future__ import annotations

import pytest

from fhir_server.access.scopes import Scope, parse


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("system/*.cruds", Scope("system", "*", "cruds")),
        ("system/Patient.rs", Scope("system", "Patient", "rs")),
        ("user/Observation.read", Scope("user", "Observation", "rs")),
        ("patient/*.write", Scope("patient", "*", "cud")),
        ("system/*.*", Scope("system", "*", "cruds")),
        ("system/Observation.rs?category=laboratory", Scope("system", "Observation", "rs", "category=laboratory")),
    ],
)
def test_both_forms(text: str, scope: Scope) -> None:
    assert parse(text) == (scope,)


@pytest.mark.parametrize(
    "text",
    ["", "openid", "launch/patient", "system/Patient", "system/Patient.", "system/Patient.sr", "system/Patient.rx",
     "admin/*.cruds", "system/patient.rs", "system/*.cruds/x", "System/*.cruds", "system/Patient.rr"],
)  # fmt: skip
def test_what_is_not_well_formed_grants_nothing(text: str) -> None:
    assert parse(text) == ()


def test_a_list() -> None:
    assert [s.resource_type for s in parse("openid  system/Patient.r fhirUser system/Task.cruds")] == [
        "Patient",
        "Task",
    ]
