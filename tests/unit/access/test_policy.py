"""The one decision. docs/architecture.md, "Access" """

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access.policy import EVERYTHING, LETTERS, NOTHING, Access, decide
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse

TYPES = ["Patient", "Observation", "Task"]


def decided(scopes: str, interaction: str, resource_type: str | None) -> Access:
    return decide(Principal("t", "s", "c", parse(scopes)), interaction, resource_type)


@pytest.mark.parametrize("interaction", LETTERS)
def test_no_scope_nothing(interaction: str) -> None:
    assert decided("", interaction, "Patient").nothing
    assert decided("", interaction, None).nothing


def test_everything_is_for_the_whole_system_under_a_wildcard_only() -> None:
    assert decided("system/*.cruds", "history-system", None) == EVERYTHING
    assert decided("system/Patient.rs system/Task.s", "history-system", None) == Access(frozenset({"Patient", "Task"}))
    assert decided("system/*.r", "history-system", None) == NOTHING


def test_an_access_is_for_the_type_that_was_asked_about() -> None:
    access = decided("system/*.cruds", "read", "Patient")
    assert access.allows("Patient", None)
    assert not access.allows("Observation", None)


@pytest.mark.parametrize("context", ["user", "patient"])
def test_other_contexts_reach_nothing_without_roles_and_relationships(context: str) -> None:
    assert decided(f"{context}/*.cruds", "read", "Patient").nothing


def test_a_constrained_scope_does_not_grant_more_than_it_says() -> None:
    assert decided("system/Observation.rs?category=laboratory", "read", "Observation").nothing


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
    assert (decided(scopes, "explain", None) == EVERYTHING) is allowed


def test_an_unknown_interaction_is_denied() -> None:
    assert decided("system/*.cruds", "conquer", "Patient").nothing


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
    letter = LETTERS[interaction]
    wanted = any(s[7:].split(".")[0] in ("*", resource_type) and letter in s.rpartition(".")[2] for s in scopes)
    assert decided(" ".join(scopes), interaction, resource_type).allows(resource_type, None) is wanted
    assert decided(" ".join(scopes), interaction, None).allows(resource_type, None) is wanted
