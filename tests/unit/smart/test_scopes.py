"""Nothing is granted that was not registered, is beyond the roles, or was not ticked.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.access.scopes import parse
from fhir_server.smart import scopes
from fhir_server.smart.client import ORDINARY_SCOPE

TYPES = ("Patient", "Observation", "Condition", "Claim")
LETTERS = st.sets(st.sampled_from("cruds"), min_size=1).map(lambda found: "".join(x for x in "cruds" if x in found))
ACTIONS = st.one_of(LETTERS, st.sampled_from(("read", "write", "*")))
CONSTRAINTS = st.sampled_from(("", "?category=laboratory", "?category=vital-signs"))
TEXTS = st.builds(
    lambda context, name, action, constraint: f"{context}/{name}.{action}{constraint if name != '*' else ''}",
    st.sampled_from(("patient", "user", "system")),
    st.sampled_from((*TYPES, "*")),
    ACTIONS,
    CONSTRAINTS,
)


def atoms(texts: str | list[str]) -> set[tuple[str, str, str, str]]:
    """Every single thing that scopes allow, counted out over a small world: an independent reading of them."""
    found = set()
    for scope in parse(texts if isinstance(texts, str) else " ".join(texts)):
        names = TYPES if scope.resource_type == "*" else (scope.resource_type,)
        constraints = (scope.constraint,) if scope.constraint else ("", "category=laboratory", "category=vital-signs")
        found |= set(product((scope.context,), names, scope.letters, constraints))
    return found


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_what_is_cut_lies_within_both(text: str, limits: list[str]) -> None:
    assert atoms(scopes.cut(text, limits)) <= atoms(text) & atoms(limits)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_nothing_is_lost_that_one_limit_covers(text: str, limits: list[str]) -> None:
    covered = [atoms(text) & atoms(limit) for limit in limits if "?" not in limit]
    assert set().union(*covered) <= atoms(scopes.cut(text, limits)) if covered else True


@pytest.mark.parametrize("text", ["patient/Observation.read", "patient/*.rs", "user/Patient.*", "openid", "launch"])
def test_what_lies_within_stays_as_it_was_written(text: str) -> None:
    assert scopes.cut(text, ORDINARY_SCOPE.split()) == [text]


def test_a_scope_for_every_type_keeps_what_single_types_allow() -> None:
    assert scopes.cut("patient/*.rs", ["patient/Patient.r", "patient/Condition.rs"]) == [
        "patient/Patient.r",
        "patient/Condition.rs",
    ]


def test_a_person_is_offered_what_their_role_can_have() -> None:
    asked = "openid patient/Observation.rs patient/Claim.cruds system/Patient.rs nonsense launch/patient"
    found, beyond = scopes.offered(asked, ORDINARY_SCOPE.split(), ("billing",))
    assert [one.text for one in found] == ["openid", "patient/Claim.crus", "launch/patient"]
    assert beyond == 2, "observations are beyond billing, and system/ beyond any person"


def test_offline_access_takes_the_place_of_online_access() -> None:
    found, _ = scopes.offered("openid online_access offline_access", ORDINARY_SCOPE.split(), ("patient",))
    assert [one.text for one in found] == ["openid", "offline_access"]


def test_kinds_of_observations_and_types_of_everything_can_be_chosen() -> None:
    (observation, everything), _ = scopes.offered(
        "patient/Observation.rs patient/*.rs", ORDINARY_SCOPE.split(), ("patient",)
    )
    laboratory = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    assert laboratory in observation.kinds
    assert scopes.cut(laboratory, [observation.text]) == [laboratory]
    assert "patient/Condition.rs" in everything.kinds
    assert "patient/Organization.rs" not in everything.kinds


@pytest.mark.parametrize(
    ("asked", "granted", "kept"),
    [
        ("patient/Observation.rs", "openid patient/*.rs", "patient/Observation.rs"),
        ("openid", "openid patient/*.rs", "openid"),
        ("patient/Observation.cruds", "patient/*.rs", None),
        ("user/Observation.rs", "patient/*.rs", None),
        ("patient/Observation.rs", "patient/Observation.rs?category=laboratory", None),
        ("offline_access", "openid", None),
    ],
)
def test_a_refresh_asks_for_no_more_than_was_granted(asked: str, granted: str, kept: str | None) -> None:
    assert scopes.subset(asked, granted) == kept
