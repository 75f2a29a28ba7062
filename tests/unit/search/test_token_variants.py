"""Tokens as they are written and searched. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import token_variants
from fhir_server.search.paths import Path
from fhir_server.search.types import token
from fhir_server.store.index_rows import IndexRows

TEXT = st.text(alphabet="ab|\\$,", min_size=1, max_size=4)
SYSTEM = st.text(alphabet="ab\\$,", min_size=1, max_size=4)
CODED = (Path((), "Coding"),)
HASHER = Hasher(bytes(16))


def escape(text: str) -> str:
    for char in "\\,|$":
        text = text.replace(char, "\\" + char)
    return text


@given(st.none() | TEXT, st.none() | TEXT)
def test_the_fast_way_of_writing_gives_the_same_variants(system: str | None, code: str | None) -> None:
    rows = IndexRows()
    value = {name: text for name, text in (("system", system), ("code", code)) if text is not None}
    token.coding(value, (7,), rows, HASHER)
    assert rows.tokens == [HASHER(f"7:{variant}") for variant in token_variants.written("Coding", value)]


@given(st.none() | SYSTEM, TEXT, st.none() | SYSTEM, TEXT)
def test_a_search_matches_what_the_specification_says(
    system: str | None, code: str, asked_system: str | None, asked_code: str
) -> None:
    value = {"code": code} if system is None else {"system": system, "code": code}
    written = set(token_variants.written("Coding", value))

    def found(text: str) -> bool:
        return bool(written & set(token_variants.searched(text, CODED)))

    assert found(escape(asked_code)) is (code == asked_code)
    assert found(f"|{escape(asked_code)}") is (system is None and code == asked_code)
    if asked_system is not None:
        assert found(f"{escape(asked_system)}|{escape(asked_code)}") is ((system, code) == (asked_system, asked_code))
        assert found(f"{escape(asked_system)}|") is (system == asked_system)


@given(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)
def test_identifiers_are_found_by_their_whole_type_and_value(
    system: str, code: str, value: str, asked_system: str, asked_code: str, asked_value: str
) -> None:
    system, asked_system = system.replace("|", "."), asked_system.replace("|", ".")
    written = token_variants.of_type({"type": {"coding": [{"system": system, "code": code}]}, "value": value})
    asked = token_variants.of_type_searched("|".join(map(escape, (asked_system, asked_code, asked_value))))
    assert (asked in written) is ((system, code, value) == (asked_system, asked_code, asked_value))


STATUSES = ("code", "http://hl7.org/fhir/ValueSet/observation-status")
PATHS = st.lists(
    st.sampled_from([*CODED, Path((), *STATUSES), Path((), "code"), Path((), "string"), Path((), "boolean")]),
    max_size=3,
)
PAIRS = st.tuples(
    st.sampled_from(["http://hl7.org/fhir/observation-status", "urn:a"]), st.sampled_from(["final", "a|b", "true"])
)


@given(st.lists(PAIRS, max_size=4), PATHS)
def test_codes_looked_up_are_searched_as_if_written_one_by_one(codes: list[tuple[str, str]], among: list[Path]) -> None:
    one_by_one = {
        variant
        for system, code in codes
        for path in among
        if path.type != "boolean"
        for variant in token_variants.searched(f"{system}|{escape(code)}", [path])
    }
    assert set(token_variants.of_codes(codes, among)) == one_by_one


def test_codes_of_mime_types_have_the_one_system() -> None:
    mime = (Path((), "code", "http://hl7.org/fhir/ValueSet/mimetypes"),)
    codes = [("urn:ietf:bcp:13", "text/plain"), ("urn:other", "text/html")]
    assert token_variants.of_codes(codes, mime) == ["c:text/plain"]


def test_systems_that_an_element_implies() -> None:
    mime = (Path((), "code", "http://hl7.org/fhir/ValueSet/mimetypes"),)
    assert token_variants.searched("urn:ietf:bcp:13|text/plain", mime) == ["c:text/plain"]
    assert token_variants.searched("urn:other|text/plain", mime) == []
    truth = (Path((), "boolean"),)
    assert token_variants.searched("http://terminology.hl7.org/CodeSystem/special-values|true", truth) == ["c:true"]
    assert token_variants.searched("http://a.org|true", truth) == []
    assert token_variants.searched("http://a.org|x", (Path((), "code"),)) == []
    assert token_variants.searched("|x", (Path((), "code"),)) == ["c:x"]
