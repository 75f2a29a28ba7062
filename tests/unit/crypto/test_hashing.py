"""Keyed hashes and parameter numbers. docs/architecture.md, "Rows" """

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.r4 import definitions
from fhir_server.search.registry import parameters

KEY = bytes(range(32))


@given(st.text())
def test_a_hash_is_blake2b_cut_to_a_bigint(text: str) -> None:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=KEY).digest()
    expected = int.from_bytes(digest, "little", signed=True)
    hasher = Hasher(KEY)
    assert hasher(text) == hasher(text) == hasher.uncached(text) == expected
    assert -(2**63) <= expected < 2**63


def test_another_key_another_hash() -> None:
    assert Hasher(KEY)("Patient/1") != Hasher(KEY[::-1])("Patient/1")


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_key_of_bad_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 to 64"):
        Hasher(b"k" * length)


def test_no_two_standard_parameters_share_a_number() -> None:
    numbers = [p.param for name in definitions.load().type_ids for p in parameters(name).values()]
    assert len(numbers) == len(set(numbers)) > 3000
    assert all(-(2**31) <= number < 2**31 for number in numbers)
    assert param_id("Patient.name") == parameters("Patient")["name"].param
