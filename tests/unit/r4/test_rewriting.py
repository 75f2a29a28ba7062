"""Rewriting catches every place where a reference can stand, and leaves everything else as it is."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.r4 import definitions
from fhir_server.r4.rewriting import MAX_DEPTH, RESOLVE_VERSION, Name, find, path_to

Json = dict[str, Any]

BASE = "http://elsewhere.example.org/fhir"
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
OID = "urn:oid:1.2.840.1"
NAMES = {
    URN: Name("Patient/new-1", 1, assigned=True),
    OID: Name("Binary/new-2", 4),
    f"{BASE}/Patient/7": Name("Patient/new-3", 1, assigned=True),
}
OTHERS = [
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "Patient/7",
    f"{BASE}/Patient/77",
    "#a",
    "",
    URN + "x",
    "x" + URN,
]
PACK = definitions.load()
CANONICAL_IDENTITY = {"Extension.url"} | {
    f"{name}.url" for name, found in PACK.types.items() if found.kind == "resource" and "url" in found.elements
}


def rewritten(resource: Json, base: str = "", names: dict[str, Name] = NAMES) -> Json:
    changed = copy.deepcopy(resource)
    for occurrence in find(changed, names, base):
        if not occurrence.conditional:
            occurrence.write(names)
    return changed


class Made:
    """Resources out of the definitions, each with what rewriting has to make of it."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def object(self, type_name: str, depth: int) -> tuple[Json, Json]:
        definition = PACK.types[type_name]
        sent: Json = {"resourceType": type_name} if definition.kind == "resource" else {}
        wanted = dict(sent)
        choice = [e for e in definition.elements.values() if not (type_name == "Bundle" and e.name == "entry")]
        for element in self.random.sample(choice, min(len(choice), self.random.randint(1, 5))):
            name, ref = self.random.choice(list(element.json_names().items()))
            many = element.max != 1
            pairs = [
                self.value(type_name, name, ref.code, depth) for _ in range(self.random.randint(1, 2) if many else 1)
            ]
            pairs = [pair for pair in pairs if pair is not None]
            if pairs:
                sent[name] = [pair[0] for pair in pairs] if many else pairs[0][0]
                wanted[name] = [pair[1] for pair in pairs] if many else pairs[0][1]
            if ref.code in PACK.types and PACK.types[ref.code].kind == "primitive" and self.random.random() < 0.2:
                before, after = self.object("Element", depth - 1) if depth else ({}, {})
                sent["_" + name], wanted["_" + name] = ([before, None], [after, None]) if many else (before, after)
        return sent, wanted

    def value(self, owner: str, name: str, code: str, depth: int) -> tuple[Any, Any] | None:
        if code in ("Resource", "DomainResource"):
            return self.object(self.random.choice(PACK.resource_types), depth - 1) if depth else None
        if PACK.types[code].kind != "primitive":
            return self.object(code, depth - 1) if depth else None
        if code == "xhtml":
            return self.narrative()
        if owner == "Reference" and name == "reference":
            return self.reference()
        text = self.random.choice([*NAMES, *OTHERS])
        links = code in ("uri", "url") and name != "system" and f"{owner}.{name}" not in CANONICAL_IDENTITY
        if links and text in NAMES:
            fragment = self.random.choice(["", "#part"])
            return text + fragment, NAMES[text].path + fragment
        return text, text

    def reference(self) -> tuple[str, str]:
        text = self.random.choice([*NAMES, *OTHERS])
        if text not in NAMES:
            return text, text
        name = NAMES[text]
        version = self.random.choice(["", "", "/_history/9"])
        made = version and f"/_history/{name.version}" if name.assigned else version
        return text + version, name.path + made

    def narrative(self) -> tuple[str, str]:
        text = self.random.choice([*NAMES, *OTHERS])
        name = NAMES[text].path if text in NAMES else text
        form = (
            '<div xmlns="http://www.w3.org/1999/xhtml"><p title="{0}" id="{0}">{0} href="{0}"</p>'
            "<a title='{0}' href=\"{1}\">{0}</a><img alt='x' src = '{1}#f'/><a>{0}</a></div>"
        )
        return form.format(text, text), form.format(text, name)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(PACK.resource_types))
def test_every_occurrence_is_rewritten_and_nothing_else(seed: int, resource_type: str) -> None:
    sent, wanted = Made(Random(seed)).object(resource_type, 4)
    before = copy.deepcopy(sent)
    assert rewritten(sent) == wanted
    assert sent == before


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(PACK.resource_types))
def test_writing_again_with_the_old_names_restores_the_resource(seed: int, resource_type: str) -> None:
    sent, _ = Made(Random(seed)).object(resource_type, 4)
    changed = copy.deepcopy(sent)
    found = find(changed, NAMES)
    for names in (NAMES, {url: Name(url) for url in NAMES}):
        for occurrence in found:
            if not occurrence.conditional:
                occurrence.write(names)
    assert changed == sent


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*NAMES, *OTHERS]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["reference", "subject", "contained", "extension", "url", "text", "div", "resourceType", "valueUri"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_what_is_no_valid_resource_is_survived(value: Any) -> None:
    for resource_type in ("Patient", "Observation", "Bundle", "Nonsense", 7, None):
        find(
            {"resourceType": resource_type, "contained": [value], "extension": value, "subject": value, "text": value},
            NAMES,
        )


def test_relative_references_resolve_against_the_base_of_their_entry() -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient/7"}}
    assert rewritten(resource, BASE)["subject"]["reference"] == "Patient/new-3"
    assert rewritten(resource)["subject"]["reference"] == "Patient/7"
    assert rewritten(resource, "http://third.example.org")["subject"]["reference"] == "Patient/7"
    versioned = {"resourceType": "Observation", "subject": {"reference": "Patient/7/_history/3"}}
    assert rewritten(versioned, BASE)["subject"]["reference"] == "Patient/new-3/_history/1"


def test_an_extension_asks_for_the_version() -> None:
    asks = [{"url": RESOLVE_VERSION, "valueBoolean": True}]
    resource = {"resourceType": "Provenance", "target": [{"reference": OID, "extension": asks}, {"reference": OID}]}
    assert [target["reference"] for target in rewritten(resource)["target"]] == [
        "Binary/new-2/_history/4",
        "Binary/new-2",
    ]


@pytest.mark.parametrize(
    ("text", "conditional"),
    [
        ("Patient?identifier=1", True),
        ("Practitioner?identifier=a|b&active=true", True),
        ("Patient/1", False),
        ("Patent?identifier=1", False),
        ("http://example.org/x?y=1", False),
    ],
)
def test_conditional_references_are_found(text: str, conditional: bool) -> None:
    resource = {"resourceType": "Observation", "performer": [{"display": "x"}, {"reference": text}]}
    found = find(resource, NAMES)
    assert [occurrence.conditional for occurrence in found] == ([True] if conditional else [])
    for occurrence in found:
        assert path_to(resource, occurrence) == "performer[1].reference"
        occurrence.write({text: Name("Patient/2")})
        assert resource["performer"][1] == {"reference": "Patient/2"}


def test_a_bundle_within_an_entry_is_a_package_of_its_own() -> None:
    inner = {"resourceType": "Bundle", "entry": [{"fullUrl": URN, "resource": {"resourceType": "Patient"}}]}
    assert find(inner, NAMES) == []
    assert find({"resourceType": "Parameters", "parameter": [{"name": "x", "resource": inner}]}, NAMES) == []


def test_escaped_links_of_narratives() -> None:
    url = "http://example.org/fhir/Binary?a=1&b=2"
    div = '<div><a href="http://example.org/fhir/Binary?a=1&amp;b=2">x</a></div>'
    resource = {"resourceType": "Basic", "text": {"div": div}}
    assert rewritten(resource, names={url: Name("Binary/1")})["text"]["div"] == '<div><a href="Binary/1">x</a></div>'


def test_depth_is_bounded() -> None:
    extension: Json = {"url": "x", "valueReference": {"reference": URN}}
    for _ in range(MAX_DEPTH * 10):
        extension = {"url": "x", "extension": [extension]}
    assert find({"resourceType": "Patient", "extension": [extension]}, NAMES) == []
