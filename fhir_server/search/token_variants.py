"""The forms in which a token is written to the index and searched. https://hl7.org/fhir/R4/search.html#token

A variant is ``c:code``, ``b:system|code``, ``b:|code`` (a code without a system) or ``s:system``; the index holds
the hash of ``{param}:{variant}``. A system is a URI, which cannot hold a "|", so that no two tokens have one variant.
docs/architecture.md, "Rows". An identifier is also written by its type, as ``t:system|code|value``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.search.condition import Condition
from fhir_server.search.paths import Path
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import split, unescape

CODED = frozenset({"Coding", "CodeableConcept", "Identifier"})
"""Types whose values carry a system of their own."""

# Systems of what the pack cannot enumerate, and of booleans. https://hl7.org/fhir/R4/search.html#token
_MIME_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"
_MIME_SYSTEM = "urn:ietf:bcp:13"
_BOOLEAN_SYSTEM = "http://terminology.hl7.org/CodeSystem/special-values"

# Above this many, comparing each hash of a row with each that is searched costs more than looking them up.
_MOST_OVERLAPPED = 32


def of_coding(system: str | None, code: str | None) -> list[str]:
    """The variants of a system and a code or identifier value, either of which may be missing."""
    if code is None:
        return [] if system is None else [f"s:{system}"]
    if system is None:
        return [f"c:{code}", f"b:|{code}"]
    return [f"c:{code}", f"b:{system}|{code}", f"s:{system}"]


def of_type(identifier: dict[str, Any]) -> list[str]:
    """The variants of an Identifier by each coding of its type. https://hl7.org/fhir/R4/search.html#token

    Codings and values that are not whole have none.
    """
    value = identifier.get("value")
    if value is None or "type" not in identifier:
        return []
    codings = [(one.get("system"), one.get("code")) for one in identifier["type"].get("coding", ())]
    return [_typed(system, code, value) for system, code in codings if system is not None and code is not None]


def of_type_searched(text: str) -> str:
    """The variant that ``system|code|value`` of ``:of-type`` asks for. Raises ValueError that says what is right."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise ValueError(
            "the value is system|code|value, of the identifier's type and of itself; a | inside of one is written \\|"
        )
    return _typed(*parts)


def _typed(system: str, code: str, value: str) -> str:
    # A "|" may stand in a code: marked, or two identifiers could be written alike.
    marked = code.replace("\\", "\\\\").replace("|", "\\|")
    return f"t:{system}|{marked}|{value}"


def written(type_name: str, value: Any, *, among_coded: bool = False) -> list[str]:
    """The variants of a value of a type that tokens are made of; [] for any other type.

    ``among_coded`` says that the same parameter also has values with a system: then ``|code`` is a variant too.
    """
    match type_name:
        case "CodeableConcept":
            return [v for c in value.get("coding", ()) for v in of_coding(c.get("system"), c.get("code"))]
        case "Coding":
            return of_coding(value.get("system"), value.get("code"))
        case "Identifier":
            return of_coding(value.get("system"), value.get("value"))
        case "ContactPoint":
            text = value.get("value")
            return [] if text is None else [f"c:{text}"]
        case "boolean":
            text = "true" if value else "false"
        case "code" | "id" | "string" | "uri":
            text = value
        case _:
            return []
    return [f"c:{text}", f"b:|{text}"] if among_coded else [f"c:{text}"]


def searched(text: str, among: Iterable[Path]) -> list[str]:
    """The variants that a search value such as ``system|code`` asks for, any of which matches; [] when none can.

    ``among`` are the paths of the parameter: where its values are codes of a required binding, the system is the
    binding's. Raises ValueError that says what would be right.
    """
    parts = split(text, "|")
    if len(parts) > 2:
        raise ValueError("a token is code, system|code, |code or system|; a | inside of one is written \\|")
    if not any(parts):
        raise ValueError("a token is code, system|code, |code or system|; this one is empty")
    paths = tuple(among)
    code = unescape(parts[-1])
    coded = any(path.type in CODED for path in paths)
    if all(path.type == "boolean" for path in paths) and code not in ("true", "false"):
        raise ValueError("the value is either true or false")
    if len(parts) == 1:
        return [f"c:{code}"]
    system = unescape(parts[0])
    if not system:
        return [f"b:|{code}"] if coded else [f"c:{code}"]
    found = [f"b:{system}|{code}" if code else f"s:{system}"] if coded else []
    for path in paths:
        found.extend(variant for variant in _of_binding(path, system, code) if variant not in found)
    return found


def _of_binding(path: Path, system: str, code: str) -> list[str]:
    """The variants of system|code, or of system| when code is "", where the system is implied by the element."""
    if path.type == "boolean":
        codes: tuple[str, ...] = ("true", "false") if system == _BOOLEAN_SYSTEM else ()
    elif path.type != "code" or not path.value_set:
        return []
    elif path.value_set.partition("|")[0] == _MIME_TYPES:
        return [f"c:{code}"] if code and system == _MIME_SYSTEM else []
    else:
        codes = definitions.load().value_sets.get(path.value_set, {}).get(system, ())
    return [f"c:{known}" for known in codes if code in ("", known)]


def of_codes(codes: Iterable[tuple[str, str]], among: Iterable[Path]) -> list[str]:
    """The variants of (system, code) pairs that have been looked up; any of them matches.

    ``among`` are the paths of the parameter: where its values are codes of a required binding, those of its codes that
    are listed are found without their system, as they are written.
    """
    pairs = tuple(codes)
    paths = tuple(among)
    found = [f"b:{system}|{code}" for system, code in pairs] if any(path.type in CODED for path in paths) else []
    for value_set in {path.value_set for path in paths if path.type == "code" and path.value_set}:
        bound = {system: frozenset(known) for system, known in definitions.load().value_sets.get(value_set, {}).items()}
        mime = value_set.partition("|")[0] == _MIME_TYPES
        found += [
            f"c:{code}"
            for system, code in pairs
            if (system == _MIME_SYSTEM if mime else code in bound.get(system, frozenset()))
        ]
    return list(dict.fromkeys(found))


def condition(hashes: list[int], sql: SqlParameters) -> Condition:
    """What "has at least one of these token hashes" is in SQL."""
    if not hashes:
        return Condition(row="false")
    if len(hashes) == 1:
        one = sql.bind(hashes[0], "bigint")
        rids = f"SELECT i.rid FROM idx_token i WHERE i.tenant_id = {sql.tenant} AND i.hash = {one}"  # noqa: S608
        return Condition(rids, f"{one} = ANY(r.tokens)", unique=True)
    some = sql.bind(hashes, "bigint[]")
    rids = f"SELECT i.rid FROM idx_token i WHERE i.tenant_id = {sql.tenant} AND i.hash = ANY({some})"  # noqa: S608
    if len(hashes) <= _MOST_OVERLAPPED:
        return Condition(rids, f"r.tokens && {some}", hashes=some)
    # && compares each with each; = ANY of a constant looks up in a table of hashes, built once for the statement.
    row = f"EXISTS (SELECT FROM unnest(r.tokens) t WHERE t = ANY({some}))"
    on_row = Condition(row=row)
    return Condition(rids, row, probe=lambda rid: on_row.test(rid, sql.tenant), hashes=some)
