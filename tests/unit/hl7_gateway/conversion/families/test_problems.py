"""What messages about problems and goals say: https://www.hl7.eu/HL7v2x/v28/std28/ch12.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import DRAFT, Conversion, Draft
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied, of_type

PID = "PID|1||123^^^A^MR||DOE^JANE"


def problem_segment(**fields: str) -> str:
    """A PRB with these fields: f14="ACTIVE"."""
    sent = {"f1": "AD", "f2": "20240818", "f3": "I10^Hypertension^I10", "f4": "P1^EHR", **fields}
    return "|".join(["PRB", *(sent.get(f"f{number}", "") for number in range(1, 29))])


def conversion_of(*segments: str, event: str = "PC1") -> Conversion:
    header = f"MSH|^~\\&|EHR|HOSP|R|F|20240818112600||PPR^{event}|1|P|2.5.1"
    return convert(Message("\r".join([header, *segments])), FEED)


def resources(*segments: str, event: str = "PC1") -> dict[str, dict[str, Any]]:
    found = applied(conversion_of(*segments, event=event))
    for name, resource in found.items():
        assert not issues(resource, warnings=False), (name, issues(resource, warnings=False))
    return found


def problem(segment: str, event: str = "PC1") -> dict[str, Any]:
    (found,) = of_type(resources(PID, segment, event=event), "Condition")
    return found


def code_of(resource: dict[str, Any], path: str) -> str:
    return str(resource[path]["coding"][0]["code"])


def drafts(conversion: Conversion, kind: str) -> list[Draft]:
    return [one for one in conversion.drafts if one.type == kind]


def test_a_problem() -> None:
    found = problem(problem_segment(f13="CONFIRMED", f14="ACTIVE", f16="202408", f7="20240817"))
    assert found["identifier"] == [{"system": "urn:hl7:north:EHR", "value": "P1"}]
    assert found["code"]["coding"][0]["code"] == "I10"
    assert found["category"][0]["coding"][0]["code"] == "problem-list-item"
    assert (code_of(found, "clinicalStatus"), code_of(found, "verificationStatus")) == ("active", "confirmed")
    assert (found["onsetDateTime"], found["recordedDate"]) == ("2024-08", "2024-08-18")
    assert found["extension"][0]["valueDateTime"] == "2024-08-17"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"f14": "ACTIVE"}, "active"),
        ({"f14": "I^Inactive^L"}, "inactive"),
        ({"f14": "X1^in remission"}, "active"),
        ({"f14": "X1^Remission"}, "remission"),
        ({"f14": "resolved"}, "resolved"),
        ({"f13": "ACTIVE"}, "active"),
        ({"f13": "INACTIVE"}, "inactive"),
        ({}, "active"),
    ],
)
def test_clinical_status(fields: dict[str, str], status: str) -> None:
    assert code_of(problem(problem_segment(**fields)), "clinicalStatus") == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"f13": "C"}, "confirmed"),
        ({"f13": "Provisional"}, "provisional"),
        ({"f13": "RULED OUT"}, "refuted"),
        ({"f13": "R"}, "refuted"),
        ({"f13": "X^Differential^L"}, "differential"),
        ({"f19": "Possible"}, "unconfirmed"),
    ],
)
def test_verification_status(fields: dict[str, str], status: str) -> None:
    assert code_of(problem(problem_segment(**fields)), "verificationStatus") == status


def test_a_status_that_nobody_knows_is_told_and_changes_nothing() -> None:
    found = conversion_of(PID, problem_segment(f14="WEIRD"))
    assert [str(one.place) for one in found.warnings] == ["PRB-14"]
    (made,) = drafts(found, "Condition")
    assert [one.initial for one in made.stated if one.path == "clinicalStatus"] == [True]


def test_what_is_over_is_resolved() -> None:
    found = problem(problem_segment(f9="20240901", f14="ACTIVE"))
    assert (found["abatementDateTime"], code_of(found, "clinicalStatus")) == ("2024-09-01", "resolved")
    assert code_of(problem(problem_segment(f9="20240901", f14="INACTIVE")), "clinicalStatus") == "inactive"


def test_what_is_active_again_is_not_over() -> None:
    (made,) = drafts(conversion_of(PID, problem_segment(f14="RECURRENCE"), event="PC2"), "Condition")
    assert [one.values for one in made.stated if one.path == "abatementDateTime"] == [()]


@pytest.mark.parametrize(("action", "event"), [("DE", "PC2"), ("", "PC3")])
def test_a_problem_is_deleted(action: str, event: str) -> None:
    found = problem(problem_segment(f1=action, f14="ACTIVE"), event)
    assert code_of(found, "verificationStatus") == "entered-in-error"
    assert "clinicalStatus" not in found


def test_what_is_added_again_is_no_error_any_more() -> None:
    (made,) = drafts(conversion_of(PID, problem_segment()), "Condition")
    assert [one.values for one in made.stated if one.path == "verificationStatus"] == [()]


def test_by_what_a_problem_is_known() -> None:
    (made,) = drafts(conversion_of(PID, problem_segment()), "Condition")
    assert made.identifiers == [("urn:hl7:north:EHR", "P1")]
    (bare,) = drafts(conversion_of(PID, problem_segment(f4="")), "Condition")
    assert not bare.identifiers
    assert bare.natural == ("PRB", DRAFT + "Patient#1", "I10|I10")


def test_onset_in_words() -> None:
    assert problem(problem_segment(f17="as a child"))["onsetString"] == "as a child"
    found = problem(problem_segment(f16="1990", f17="as a child"))
    assert found["onsetDateTime"] == "1990"
    assert found["note"] == [{"text": "Onset: as a child"}]


def test_what_has_no_element_of_its_own_is_noted() -> None:
    found = problem(problem_segment(f8="2025", f12="C^Chronic", f22="GOOD"))
    assert [one["text"] for one in found["note"]] == [
        "Expected to be resolved: 2025",
        "Persistence: Chronic",
        "Prognosis: GOOD",
    ]


def test_a_goal_of_a_problem() -> None:
    gol = "GOL|AD|20240818|G1^Lower pressure^L|G9^EHR|||20240818|20241201|||||||||improve~slowly|ACTIVE|20240819"
    found = resources(PID, problem_segment(), gol, "NTE|1||of the goal")
    (goal,), (condition,) = of_type(found, "Goal"), of_type(found, "Condition")
    assert goal["lifecycleStatus"] == "active"
    assert goal["addresses"] == [{"reference": f"Condition/{condition['id']}"}]
    assert (goal["startDate"], goal["target"], goal["statusDate"]) == (
        "2024-08-18",
        [{"dueDate": "2024-12-01"}],
        "2024-08-19",
    )
    assert [one["text"] for one in goal["note"]] == ["improve", "slowly", "of the goal"]
    assert "note" not in condition


@pytest.mark.parametrize(
    ("action", "sent", "status"),
    [("AD", "ACHIEVED", "completed"), ("UP", "Cancelled", "cancelled"), ("DE", "ACTIVE", "entered-in-error")],
)
def test_the_life_of_a_goal(action: str, sent: str, status: str) -> None:
    gol = "|".join(["GOL", action, "20240818", "G1^Goal", "G9^EHR", *[""] * 13, sent])
    (goal,) = of_type(resources(PID, gol), "Goal")
    assert goal["lifecycleStatus"] == status


def test_a_pathway() -> None:
    found = resources(PID, problem_segment(), "PTH|AD|W1^Hypertension pathway^L|W9^EHR|20240818|COMPLETED")
    (plan,), (condition,) = of_type(found, "CarePlan"), of_type(found, "Condition")
    assert (plan["title"], plan["status"], plan["intent"]) == ("Hypertension pathway", "completed", "plan")
    assert plan["addresses"] == [{"reference": f"Condition/{condition['id']}"}]


def test_a_variance_is_noted() -> None:
    found = resources(PID, problem_segment(), "VAR|V1|20240818|20240817|9^WHO^DOCTOR||stays~longer")
    (note,) = of_type(found, "Condition")[0]["note"]
    assert (note["text"], note["time"]) == ("stays\nlonger", "2024-08-17")
    assert note["authorReference"]["reference"].startswith("Practitioner/")


def test_evidence_and_who_says_it() -> None:
    found = resources(PID, problem_segment(), "ROL||AD|RO|9^WHO^DOCTOR", "OBX|1|NM|8480-6^BP^LN||160|mm[Hg]|||||F")
    (condition,), (result,) = of_type(found, "Condition"), of_type(found, "Observation")
    assert condition["evidence"] == [{"detail": [{"reference": f"Observation/{result['id']}"}]}]
    assert condition["asserter"]["reference"].startswith("Practitioner/")


def test_two_problems_do_not_mix() -> None:
    found = resources(
        PID, problem_segment(), problem_segment(f3="E11^Diabetes^I10", f4="P2^EHR"), "GOL|AD|20240818|G1^Goal|G9^EHR"
    )
    _, second = of_type(found, "Condition")
    (goal,) = of_type(found, "Goal")
    assert goal["addresses"] == [{"reference": f"Condition/{second['id']}"}]


def test_a_problem_that_is_deleted_has_no_abatement() -> None:
    assert "abatementDateTime" not in problem(problem_segment(f1="DE", f9="20240901"))
