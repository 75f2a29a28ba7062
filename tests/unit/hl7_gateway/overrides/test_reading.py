"""A feed's own mapping is checked to the end: docs/hl7-overrides.md"""

from __future__ import annotations

import pytest

from hl7_gateway.overrides.change import Copy, Drop, FieldPath, Put, Read, Translate, TranslateByMap
from hl7_gateway.overrides.reading import NotAMapping, read

GOOD = """
[[put]]
field = "PV1-2"
value = "O"
only_empty = true

[[drop]]
field = "PID-10"

[[copy]]
from = "ZPI-3"
to = "PID-13"
move = true

[[translate]]
field = "PID-8"
codes = {W = "F"}

[[read]]
field = "ZPI-4"
resource = "Patient"
extension = "https://clinic.example/fhir/shoe-size"
type = "NM"
"""


def test_all_kinds() -> None:
    assert read(GOOD) == (
        Put(FieldPath("PV1", 2), "O", True),
        Drop(FieldPath("PID", 10)),
        Copy(FieldPath("ZPI", 3), FieldPath("PID", 13), move=True),
        Translate(FieldPath("PID", 8), (("W", "F"),)),
        Read(FieldPath("ZPI", 4), "Patient", "extension", "NM", "https://clinic.example/fhir/shoe-size"),
    )


def test_a_map_is_named_with_its_place() -> None:
    text = """
    [[translate]]
    field = "PID-8"
    codes = {W = "F"}

    [[translate]]
    field = "OBX-3"
    map = "urn:maps:analytes|2"
    target = "http://loinc.org"
    coding = true
    """
    *_, found = read(text)
    assert found == TranslateByMap(
        FieldPath("OBX", 3), "urn:maps:analytes", "2", "", "http://loinc.org", True, "[[translate]] no. 2"
    )
    assert found.canonical == "urn:maps:analytes|2"


def test_nothing_is_a_mapping() -> None:
    assert read("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[put]", "not TOML"),
        ("[[puts]]\nfield='PID-1'", "[[puts]] is not known; there are [[put]]"),
        ("[put]\nfield='PID-1'\nvalue='x'", "two brackets"),
        ("put=[1]", "must be a table"),
        ("[[put]]\nfield='PID-1'", "[[put]] no. 1: value is missing"),
        ("[[put]]\nfield='PID-1'\nvalue=1", "value must be a text in quotes"),
        ("[[put]]\nfield='PID.1'\nvalue='x'", "is not a field as in PID-13"),
        ("[[put]]\nfield='MSH-2'\nvalue='x'", "delimiters"),
        ("[[put]]\nfield='PID-1'\nvalue='x'\nwhen='y'", "when is not known"),
        ('[[put]]\nfield="PID-1"\nvalue="a\\nb"', "one line"),
        ("[[translate]]\nfield='PID-8'\ncodes={}", "pairs of texts"),
        ("[[translate]]\nfield='PID-8'\ncodes={a=1}", "pairs of texts"),
        ("[[translate]]\nfield='PID-8'", "give either codes, as pairs, or map"),
        ("[[translate]]\nfield='PID-8'\ncodes={a='b'}\nmap='urn:x'", "give either codes, as pairs, or map"),
        ("[[translate]]\nfield='PID-8'\ncodes={a='b'}\ncoding=true", "coding belongs to map"),
        ("[[translate]]\nfield='PID-8'\nmap='sexes'", "the canonical URL of a ConceptMap"),
        ("[[translate]]\nfield='PID-8'\nmap='urn:x|'", "the canonical URL of a ConceptMap"),
        ("[[translate]]\nfield='PID-8'\nmap=1", "map must be a text in quotes"),
        ("[[translate]]\nfield='PID-3.5'\nmap='urn:x'", "PID-3 tells whose a message is"),
        ("[[translate]]\nfield='MRG-1'\nmap='urn:x'", "MRG-1 tells whose a message is"),
        ("[[translate]]\nfield='OBX-3.1'\nmap='urn:x'\ncoding=true", "a whole field, as in OBX-3"),
        ("[[read]]\nfield='ZPI-1'\nresource='Patent'\ntype='ST'\nelement='x'", "no resource type 'Patent'"),
        ("[[read]]\nfield='ZPI-1'\nresource='Patient'\ntype='XX'\nelement='x'", "'XX' is not known; there are ST"),
        ("[[read]]\nfield='ZPI-1'\nresource='Patient'\ntype='ST'\nelement='shoe'", "Patient has no shoe"),
        ("[[read]]\nfield='ZPI-1'\nresource='Patient'\ntype='ST'", "either extension, a URL, or element"),
        (
            "[[read]]\nfield='ZPI-1'\nresource='Patient'\ntype='ST'\nelement='name.text'",
            "within an element that repeats",
        ),
        ("[[read]]\nfield='ZPI-1'\nresource='Patient'\ntype='DT'\nelement='birthDate'\nmany=true", "does not repeat"),
    ],
)
def test_what_is_wrong_is_told(text: str, said: str) -> None:
    with pytest.raises(NotAMapping) as raised:
        read(text)
    assert any(said in problem for problem in raised.value.problems), raised.value.problems


def test_every_problem_is_told() -> None:
    with pytest.raises(NotAMapping) as raised:
        read("[[drop]]\nfield='x'\n[[drop]]\nfield='y'")
    assert len(raised.value.problems) == 2
