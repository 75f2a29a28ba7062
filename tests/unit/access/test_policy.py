"""The one decision. docs/access.md"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access import relations
from fhir_server.access.conditions import About, Consented, HasAny, Names, Related, Unlabelled
from fhir_server.access.policy import EVERYTHING, LETTERS, NOTHING, OPERATIONS, Access, Rule, decide, of_types
from fhir_server.access.principal import Principal
from fhir_server.access.roles import DIRECTORY, RESTRICTED, ROLES
from fhir_server.access.scopes import parse

TYPES = ["Patient", "Observation", "Task"]
ME = ("Practitioner/1", "User/s")


def decided(scopes: str, interaction: str, resource_type: str | None) -> Access:
    return decide(Principal("t", "s", "c", parse(scopes)), interaction, resource_type)


def person(scopes: str, *roles: str, fhir_user: str = "Practitioner/1", patient: str = "") -> Principal:
    return Principal("t", "s", "c", parse(scopes), roles, fhir_user, patient)


@pytest.mark.parametrize("interaction", LETTERS)
def test_no_scope_nothing(interaction: str) -> None:
    assert decided("", interaction, "Patient").nothing
    assert decided("", interaction, None).nothing


def test_everything_is_for_the_whole_system_under_a_wildcard_only() -> None:
    assert decided("system/*.cruds", "history-system", None).without_consents() == EVERYTHING
    some = decided("system/Patient.rs system/Task.s", "history-system", None)
    assert some.without_consents() == of_types("Patient", "Task")
    assert decided("system/*.r", "history-system", None) == NOTHING


def test_an_access_is_for_the_type_that_was_asked_about() -> None:
    access = decided("system/*.cruds", "read", "Patient")
    assert access.reaches("Patient")
    assert not access.reaches("Observation")


@pytest.mark.parametrize("context", ["user", "patient"])
def test_other_contexts_reach_nothing_without_roles_and_relationships(context: str) -> None:
    assert decided(f"{context}/*.cruds", "read", "Patient").nothing


def test_a_person_without_a_role_is_not_a_client_that_acts_for_nobody() -> None:
    assert decide(person("system/*.cruds"), "read", "Patient").nothing
    assert decide(person("system/*.cruds", "clinic_admin"), "read", "Patient").nothing
    assert decide(person("user/*.cruds", "unheard-of"), "read", "Patient").nothing


def test_a_constraint_that_cannot_be_honoured_grants_nothing() -> None:
    assert decided("system/Observation.rs?category=laboratory", "read", "Observation").nothing
    narrow = Principal("t", "s", "c", parse("system/Observation.rs?category=laboratory"))
    access = decide(narrow, "read", "Observation", lambda resource_type, query: (HasAny((1,)),))
    assert access.without_consents().rules[0].conditions == (HasAny((1,)),)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ("system/*.cruds", True),
        ("system/*.*", True),
        ("system/*.rs", False),
        ("system/*.cru system/*.ds", False),
        ("system/Patient.cruds", False),
        ("user/*.cruds", False),
    ],
)
def test_how_searches_run_is_shown_to_those_who_may_do_everything(scopes: str, allowed: bool) -> None:
    assert decided(scopes, "explain", None).everything is allowed


def test_an_unknown_interaction_is_denied() -> None:
    assert decided("system/*.cruds", "conquer", "Patient").nothing


def conditions(access: Access) -> list[tuple[object, ...]]:
    return [rule.conditions for rule in access.rules]


def test_physicians_read_what_is_about_their_own_patients() -> None:
    access = decide(person("user/*.cruds", "physician"), "read", "Observation")
    assert conditions(access) == [
        (Related(ME, relations.OWN_PATIENTS), Consented(ME)),
        (Related(ME, (relations.BREAK_GLASS,)),),
    ]
    assert decide(person("user/*.cruds", "physician"), "delete", "Observation").nothing
    assert decide(person("user/*.cruds", "physician"), "create", "Patient").nothing


def test_whoever_is_nobody_in_fhir_is_known_by_the_account_alone() -> None:
    access = decide(person("user/*.cruds", "physician", fhir_user=""), "read", "Observation")
    assert conditions(access)[0][0] == Related(("User/s",), relations.OWN_PATIENTS)


def test_scopes_of_a_patient_need_one_and_reach_no_other() -> None:
    assert decide(person("patient/*.rs", "physician"), "read", "Observation").nothing
    access = decide(person("patient/*.rs", "physician", patient="7"), "read", "Observation")
    assert all(About("Patient/7") in found for found in conditions(access))
    directory = decide(person("patient/*.rs", "physician", patient="7"), "read", "Organization")
    assert conditions(directory) == [()]
    assert decide(person("patient/*.rs", "clinic_admin", patient="7"), "read", "Binary").nothing


def test_patients_see_their_own_record() -> None:
    me = person("patient/*.rs", "patient", fhir_user="Patient/7", patient="7")
    assert conditions(decide(me, "read", "Observation")) == [(About("Patient/7"), About("Patient/7"))]
    assert decide(person("user/*.rs", "patient", fhir_user=""), "read", "Observation").rules == ()


def test_attorneys_see_neither_psychotherapy_nor_substance_use() -> None:
    (rule,) = decide(person("user/*.rs", "attorney"), "read", "Observation").rules
    related, _, unlabelled = rule.conditions
    assert related == Related(ME, (relations.MATTER,))
    assert isinstance(unlabelled, Unlabelled)
    assert {"PSY", "ETH", "42CFRPart2"} <= {label.rpartition("|")[2] for label in unlabelled.labels}


def test_what_is_to_be_counted_only_is_not_shown() -> None:
    """A count by name would tell of one person: nothing of it is let through but to be counted."""
    shown = {
        (role.name, name)
        for role in ROLES.values()
        for grant in role.grants
        if grant.reach == "counts"
        for name in grant.types
        for interaction in LETTERS
        if interaction != "count" and not decide(person("user/*.cruds", role.name), interaction, name).nothing
    }
    assert shown == set()
    assert decide(person("user/*.r", "executive"), "count", "Patient").nothing
    assert not decide(person("user/*.s", "executive"), "count", "Patient").nothing
    for role in ROLES:
        if role != "executive":
            assert decide(person("user/*.cruds", role), "count", "Patient").nothing
    assert not decide(person("user/*.rs", "executive"), "read", "Organization").nothing


def test_staff_see_no_clinical_notes() -> None:
    staff = person("user/*.cruds", "staff")
    for name in ("Observation", "DocumentReference", "Condition", "Composition", "DiagnosticReport"):
        assert decide(staff, "read", name).nothing
    (rule,) = decide(staff, "read", "Patient").rules
    assert Unlabelled(RESTRICTED) in rule.conditions


def test_a_task_of_mine_is_within_reach_whosever_patient_it_is_about() -> None:
    access = decide(person("user/*.cruds", "physician"), "read", "Task")
    assert (Names(ME), Consented(ME)) in conditions(access)


def test_several_roles_reach_what_each_of_them_does() -> None:
    both = decide(person("user/*.rs", "billing", "physician"), "read", "Coverage")
    assert {rule.role for rule in both.rules} == {"billing", "physician"}


def test_a_clinic_takes_permissions_away() -> None:
    taken = (("staff", ("clinic:Patient:update", "*:Communication:*")),)
    staff = person("user/*.cruds", "staff")
    assert not decide(staff, "update", "Patient").nothing
    assert decide(staff, "update", "Patient", taken=taken).nothing
    assert not decide(staff, "read", "Patient", taken=taken).nothing
    assert decide(staff, "read", "Communication", taken=taken).nothing
    admin = person("user/*.cruds", "clinic_admin")
    assert decide(admin, "explain", None, taken=(("clinic_admin", ("clinic:*:explain",)),)).nothing
    assert decide(admin, "read", "Observation", taken=(("clinic_admin", ("clinic:Observation:*",)),)).nothing
    everything_else = decide(admin, "read", None, taken=(("clinic_admin", ("clinic:Observation:*",)),))
    assert everything_else.reaches("Condition")
    assert not everything_else.reaches("Observation")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_operations_are_for_roles_that_name_them(role: str, operation: str) -> None:
    allowed = not decide(person("user/*.cruds", role), operation, None).nothing
    assert allowed is (operation in ROLES[role].operations)


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"clinic_admin", "super_admin", "staff", "billing", "executive"}))
def test_whose_reach_is_not_the_clinic_sees_nothing_of_patients_without_a_condition(role: str) -> None:
    access = decide(person("user/*.cruds", role, fhir_user="Patient/1"), "read", None)
    free = {name for rule in access.rules if not rule.conditions for name in rule.types or TYPES}
    assert free <= DIRECTORY | {"Slot", "Schedule"}


scope_lists = st.lists(
    st.builds(
        lambda t, letters: f"system/{t}.{''.join(sorted(letters, key='cruds'.index))}",
        st.sampled_from([*TYPES, "*"]),
        st.sets(st.sampled_from("cruds"), min_size=1),
    ),
    max_size=4,
)


@given(scopes=scope_lists, interaction=st.sampled_from(sorted(LETTERS)), resource_type=st.sampled_from(TYPES))
def test_allowed_if_and_only_if_some_scope_says_so(scopes: list[str], interaction: str, resource_type: str) -> None:
    if interaction in ("break-glass", "count"):
        return
    letters = set(LETTERS[interaction])
    wanted = any(s[7:].split(".")[0] in ("*", resource_type) and letters <= set(s.rpartition(".")[2]) for s in scopes)
    assert decided(" ".join(scopes), interaction, resource_type).reaches(resource_type) is wanted


def test_relations_of_rules_that_are_otherwise_alike_are_asked_for_at_once() -> None:
    access = decide(person("user/*.rs", "physician"), "read", "Observation")
    assert len(access.rules) > 1
    (rule,) = access.without_consents().rules
    (condition,) = rule.conditions
    assert isinstance(condition, Related)
    assert set(condition.kinds) == {*relations.OWN_PATIENTS, relations.BREAK_GLASS}


def test_relations_that_are_both_to_hold_stay_apart() -> None:
    first, second = Related(("a",), (1,)), Related(("b",), (2,))
    access = Access((Rule(None, (first, second, Consented(("a",)))), Rule(None, (first,)), Rule(None, (second,))))
    assert set(access.without_consents().rules) == {
        Rule(None, (first, second)), Rule(None, (first,)), Rule(None, (second,)),
    }  # fmt: skip


def test_masks_of_a_type_are_those_of_every_rule_that_may_let_one_through() -> None:
    access = decide(person("user/*.cruds", "billing", "physician"), "read", None)
    assert access.masks("Condition") == ("", "codes")
    assert access.masks("Observation") == ("",)
    assert access.masks("Claim") == ("",), "of some types everything is shown, whatever there is"
    assert access.masks("Basic") == ("",)
    assert decide(person("user/*.cruds", "staff", "billing"), "read", None).masks("Encounter") == ("codes", "schedule")
    assert decide(person("user/*.cruds", "clinic_admin", "billing"), "read", None).without_consents().masks(
        "Condition"
    ) == ("",)
    assert decide(person("user/*.cruds", "executive"), "count", None).masks("Condition") == ()


def test_what_one_mask_shows_and_what_is_left_without_it() -> None:
    access = decide(person("user/*.cruds", "billing", "physician"), "read", None)
    assert {rule.elements for rule in access.shown_by("codes").rules} == {"codes"}
    assert access.shown_by("summary").nothing
    left = access.leaving((("Condition", "codes"),))
    assert left.masks("Condition") == ("",)
    assert left.masks("Procedure") == ("", "codes"), "of other types nothing is taken"
    assert access.leaving(()) == access


@pytest.mark.parametrize("interaction", ["create", "update", "delete", "patch"])
def test_consents_have_a_say_in_what_people_write(interaction: str) -> None:
    minded = decide(person("user/*.cruds", "clinic_admin"), interaction, "Observation")
    assert minded.minds_consents
    assert minded.without_consents().whole("Observation")
    nobody = decided("system/*.cruds", interaction, "Observation")
    assert nobody.minds_consents is (interaction == "patch"), "what clients deliver is kept, what a patch shows is not"
    directory = decide(person("user/*.cruds", "clinic_admin"), interaction, "Organization")
    assert not directory.minds_consents


@pytest.mark.parametrize("interaction", ["create", "update"])
def test_a_broken_glass_outweighs_consents_in_writing(interaction: str) -> None:
    rules = decide(person("user/*.cruds", "physician"), interaction, "Observation").rules
    minding = {
        one.kinds: any(isinstance(other, Consented) for other in rule.conditions)
        for rule in rules
        for one in rule.conditions
        if isinstance(one, Related)
    }
    assert minding == {relations.OWN_PATIENTS: True, (relations.BREAK_GLASS,): False}
