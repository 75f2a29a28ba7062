"""What a destination is configured as, and what is wrong with it. docs/hl7-outbound.md"""

from __future__ import annotations

from typing import Any

import pytest

from hl7_gateway.outbound.rules import Configuration, NotADestination, Rule, read

LEAST = {"host": "lab", "port": 2575, "rules": [{"resource": "Patient"}]}


def test_what_is_not_said_is_usual() -> None:
    assert read(LEAST) == Configuration("lab", 2575, (Rule("Patient", "ADT"),))


def test_all_of_it() -> None:
    found = read(
        LEAST
        | {
            "ca": "ca.pem", "certificate": "own.pem", "key": "key.pem", "facility": "HERE", "version": "2.7",
            "zone": "Europe/Berlin", "timeout": 5, "authorities": {"urn:oid:1.2": "MR"}, "latest_only": True,
            "rules": [
                {"resource": "Encounter", "message": "ADT", "when": "class.code = 'IMP'"},
                {"resource": "DiagnosticReport", "message": "ORU"},
                {"resource": "Encounter"},
            ],
        }
    )  # fmt: skip
    assert found.tls
    assert found.types == ("Encounter", "DiagnosticReport")
    assert (found.timeout, found.authorities, found.latest_only) == (5.0, {"urn:oid:1.2": "MR"}, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 0}, "port must be a number from 1 to 65535."),
        ({"port": "2575"}, "port must be a number from 1 to 65535."),
        ({"port": True}, "port must be a number from 1 to 65535."),
        ({"host": "a b"}, "host must be a host name or address."),
        ({"zone": "Mars"}, "zone must be a name of the time zone database, as in Europe/Berlin."),
        ({"version": "2.2"}, "version must be one of 2.5, 2.5.1, 2.6, 2.7, 2.8."),
        ({"timeout": 0}, "timeout must be seconds, from 0.1 to 600."),
        ({"tls": False, "ca": "x"}, "tls must be true where there is a ca or certificate."),
        ({"key": "x"}, "key is of no use without certificate."),
        ({"authorities": {"a": 1}}, "authorities must be namespaces by identifier system."),
        ({"rules": []}, "rules must be a list of at least one rule."),
        ({"rules": [{"resource": "Basic"}]}, "rules[1]: resource must be one of"),
        ({"rules": [{"resource": "Patient", "message": "ORU"}]}, "rules[1]: message must be ADT for Patient."),
        ({"rules": [{"resource": "Patient", "when": "name."}]}, "rules[1]: when is no expression"),
        ({"rules": [{"resource": "Patient", "what": "x"}]}, "rules[1] must have resource, message"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(NotADestination) as caught:
        read({**LEAST, **change})
    (problem,) = caught.value.problems
    assert problem.startswith(said)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(NotADestination) as caught:
        read({"hsot": "lab", "rules": [{"resource": "Patient"}]})
    assert [problem.split()[0] for problem in caught.value.problems] == ["hsot", "host", "port"]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("", True),
        ("name.exists()", True),
        ("active", False),
        ("name.family = 'X'", False),
        ("name.where(family = 'A')", True),
        ("address", False),
    ],
)
def test_a_rule_holds(when: str, expected: bool) -> None:
    patient = {"resourceType": "Patient", "active": False, "name": [{"family": "A"}]}
    assert Rule("Patient", "ADT", when).holds(patient) is expected


def test_waits_grow_up_to_a_limit() -> None:
    found = Configuration("h", 1, (), retry=2.0)
    assert [found.wait(attempts) for attempts in (1, 2, 3, 8, 9, 10_000)] == [2, 4, 8, 256, 300, 300]
