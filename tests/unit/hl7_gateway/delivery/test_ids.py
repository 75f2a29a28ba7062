"""Ids that follow from what identifies a draft. docs/hl7.md"""

from __future__ import annotations

import re
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.hashing import Hasher
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.delivery import ids
from hl7_gateway.problems import Refused

HASHER = Hasher(b"a key for tests of ids")


def test_an_id_is_a_uuid_of_version_8_which_only_the_key_leads_to() -> None:
    found = ids.of_identifier(HASHER, "Patient", "urn:s", "1")
    assert (UUID(found).version, UUID(found).variant, str(UUID(found))) == (8, "specified in RFC 4122", found)
    assert found == ids.of_identifier(Hasher(b"a key for tests of ids"), "Patient", "urn:s", "1")
    assert found != ids.of_identifier(Hasher(b"another key for tests"), "Patient", "urn:s", "1")


def test_whatever_differs_makes_another_id() -> None:
    made = [
        ids.of_identifier(HASHER, "Patient", "a", "b"),
        ids.of_identifier(HASHER, "Practitioner", "a", "b"),
        ids.of_identifier(HASHER, "Patient", "ab", ""),
        ids.of_identifier(HASHER, "Patient", 'a","b', ""),
        ids.of_natural(HASHER, "Patient", ["a", "b"]),
        ids.of_natural(HASHER, "Patient", ["a,b"]),
        ids.of_message(HASHER, "Patient", 1, "a"),
        ids.of_message(HASHER, "Patient", 1, "b"),
    ]
    assert all(one != other for one, other in combinations(made, 2))


@given(st.lists(st.text(max_size=4), max_size=3), st.lists(st.text(max_size=4), max_size=3))
def test_two_lists_of_texts_make_two_ids(one: list[str], other: list[str]) -> None:
    found = [ids.of_natural(HASHER, "Patient", texts) for texts in (one, other)]
    assert (found[0] == found[1]) == (one == other)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", found[0])


def test_a_natural_id_follows_the_resource_that_it_names() -> None:
    draft = Draft("RelatedPerson#1", "RelatedPerson", natural=("mother", DRAFT + "Patient#1"))
    one = ids.of_draft(HASHER, draft, 1, {"Patient#1": "Patient/a"}.__getitem__)
    assert one == ids.of_natural(HASHER, "RelatedPerson", ["mother", "Patient/a"])
    assert one != ids.of_draft(HASHER, draft, 1, {"Patient#1": "Patient/b"}.__getitem__)


def drafts(**needs: str) -> dict[str, Draft]:
    return {name: Draft(name, "Basic", natural=("x", *(DRAFT + one for one in names))) for name, names in needs.items()}


@given(st.permutations("abcdef"))
def test_each_comes_after_what_its_id_is_made_of(names: list[str]) -> None:
    needs = {name: "".join(sorted(set("abcdef"[:place]) & set("abd"))) for place, name in enumerate("abcdef")}
    order = [one.name for one in ids.in_order(drafts(**{name: needs[name] for name in names}))]
    assert sorted(order) == list("abcdef")
    assert all(order.index(needed) < order.index(name) for name in names for needed in needs[name])


@pytest.mark.parametrize(
    "needs", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "db", "d": ""}, {"a": "z"}]
)
def test_what_waits_for_itself_or_for_nothing_is_refused(needs: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        ids.in_order(drafts(**needs))
    assert refused.value.code == 207


def test_a_long_chain_takes_no_stack() -> None:
    chain = {f"n{n}": Draft(f"n{n}", "Basic", natural=(f"{DRAFT}n{n + 1}",)) for n in range(5000)}
    chain["n5000"] = Draft("n5000", "Basic")
    assert [one.name for one in ids.in_order(chain)][:2] == ["n5000", "n4999"]


def test_identifiers_go_before_natural_keys() -> None:
    one = Draft("a", "Basic", identifiers=[("urn:s", "1")], natural=("x", DRAFT + "a"))
    assert ids.in_order({"a": one}) == [one]
    assert ids.of_draft(HASHER, one, 1, str) == ids.of_identifier(HASHER, "Basic", "urn:s", "1")
