"""Configurations of feeds, right and wrong. docs/hl7.md, "Feeds" """

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.feed import KEYS, Feed, NotAFeed, parse


def row(configuration: dict[str, Any], name: str = "lab") -> FeedRow:
    return FeedRow(3, "riverside", 7, name, False, 0, configuration)


def feed(**configuration: Any) -> Feed:
    return parse(row(configuration))


def test_a_feed_without_a_configuration_takes_all_that_comes_to_the_gateways_own_port() -> None:
    found = feed()
    assert (found.port, found.certificate, found.application, found.facility, found.networks) == (0, "", "", "", ())
    assert (found.acknowledgment, found.charset, found.invalid_bytes) == ("receipt", "UNICODE UTF-8", "replace")
    assert (found.mapping.name, found.mapping.zone, found.label) == ("lab", "UTC", "riverside/lab")


def test_every_key_is_read() -> None:
    fingerprint = "AB:" * 31 + "ab"
    found = feed(
        port=6001,
        certificate=fingerprint,
        application=" LAB ",
        facility="HOSPITAL",
        networks=["10.2.0.0/16", "2001:db8::/32"],
        limit=4096,
        charset="8859/1",
        invalid_bytes="refuse",
        acknowledgment="commit",
        processing_ids=["P"],
        silent=60,
        zone="America/New_York",
        authorities={"HOSP": "urn:oid:1.2.3"},
        code_systems={"L": "https://lab.example/codes"},
        overrides='[[drop]]\nfield = "PID-10"',
    )
    assert found.certificate == "ab" * 32
    assert (found.application, found.facility, found.port, found.limit) == ("LAB", "HOSPITAL", 6001, 4096)
    assert found.networks == (ip_network("10.2.0.0/16"), ip_network("2001:db8::/32"))
    assert (found.charset, found.invalid_bytes, found.acknowledgment) == ("8859/1", "refuse", "commit")
    assert (found.processing_ids, found.silent) == (("P",), 60)
    assert (found.mapping.zone, found.mapping.authorities) == ("America/New_York", {"HOSP": "urn:oid:1.2.3"})
    assert found.mapping.code_systems == {"L": "https://lab.example/codes"}
    assert len(found.mapping.overrides) == 1
    assert len(found.mapping.version) == 12


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("port", "6001", "a whole number from 0 to 65,535"),
        ("port", True, "a whole number"),
        ("limit", 3, "1,024"),
        ("certificate", "abc", "64 hexadecimal digits"),
        ("application", "A\nB", "one line"),
        ("networks", "10.0.0.0/8", "a list of networks"),
        ("networks", ["10.0.0.1/8"], "host bits"),
        ("charset", "KLINGON", "table 0211"),
        ("invalid_bytes", "drop", "refuse, replace"),
        ("acknowledgment", "later", "receipt, commit"),
        ("processing_ids", [], "P, T, D"),
        ("processing_ids", "PT", "P, T, D"),
        ("silent", -1, "0"),
        ("zone", "Amerika/Neu_York", "America/New_York"),
        ("zone", "../../etc/passwd", "America/New_York"),
        ("zone", 5, "America/New_York"),
        ("authorities", {"HOSP": "no uri"}, "'HOSP'"),
        ("code_systems", ["L"], "pairs"),
        ("overrides", "[[drop", "TOML"),
        ("overrides", {}, "text"),
    ],
)
def test_what_is_wrong_is_told_with_its_key_and_what_would_be_right(key: str, value: Any, right: str) -> None:
    with pytest.raises(NotAFeed) as caught:
        feed(**{key: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{key} must be ")
    assert right in problem


def test_all_problems_are_told_at_once_and_unknown_keys_are_refused() -> None:
    with pytest.raises(NotAFeed) as caught:
        parse(row({"prot": 5, "silent": "yes"}, name="The Lab"))
    assert len(caught.value.problems) == 3
    assert "prot is not known; there are port, certificate" in str(caught.value)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=5), _json, max_size=4))
def test_any_configuration_is_a_feed_or_refused_with_a_sentence(configuration: dict[str, Any]) -> None:
    try:
        found = parse(row(configuration))
    except NotAFeed:
        # Nothing else is raised, whatever is written there.
        return
    assert set(configuration) <= set(KEYS)
    assert found.tenant_id == 3
