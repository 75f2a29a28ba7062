"""Compile the official FHIR 4.0.1 definitions into the pack of facts that the product ships.

    python scripts/build_definitions.py PATH/definitions.zip

The zip holds the definitions as single JSON files (https://hl7.org/fhir/R4/downloads.html, CC0). Only facts are kept:
names, types, cardinalities, codes, expressions. The output is the same byte for byte on every run.
"""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import example_scenario
import msgspec

from fhir_server.r4.definitions import (
    PACK,
    Component,
    Constraint,
    Definitions,
    Element,
    SearchParameter,
    TypeDefinition,
    TypeRef,
)

CORE = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
# The one profile that the definitions of types refer to; all that it adds to Quantity is this invariant.
SIMPLE_QUANTITY = CORE + "SimpleQuantity"
NO_COMPARATOR = {"key": "sqty-1", "severity": "error", "expression": "comparator.empty()"}
NOT_ENUMERABLE = {
    "http://hl7.org/fhir/ValueSet/ucum-units",
    "http://hl7.org/fhir/ValueSet/mimetypes",
    "http://loinc.org/vs/LL379-9",
}
CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GGP GHS GIP
GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS IMP INR IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD
OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP
SZL THB TJS TMT TND TOP TRY TTD TVD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA
XBB XBC XBD XCD XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWL
"""
# Value sets that 4.0.1 binds to but does not include, or whose code system it does not list.
# Sources: HL7 v3 Confidentiality (2014-03-26); ISO 4217, alphabetic codes;
# ExampleScenarioActorType (see example_scenario.py).
MISSING = {
    "http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification": {
        "http://terminology.hl7.org/CodeSystem/v3-Confidentiality": ("U", "L", "M", "N", "R", "V")
    },
    "http://hl7.org/fhir/ValueSet/examplescenario-actor-type": {
        "http://hl7.org/fhir/examplescenario-actor-type": ("person", "entity")
    },
    "http://hl7.org/fhir/ValueSet/currencies": {"urn:iso:std:iso:4217": tuple(CURRENCIES.split())},
}
# The search parameter for a type's clinical date: the first of these that the type has, on a date element.
CLINICAL_DATES = (
    "date", "onset-date", "period", "authoredon", "authored-on", "created", "effective-time", "effective",
    "whenhandedover", "issued", "occurrence", "performed", "sent", "started", "authored", "recorded", "billable-period",
    "onset", "start-date",
)  # fmt: skip
# The search parameter that names the patient, most specific first.
PATIENT_CODES = ("patient", "subject", "beneficiary", "individual")


def read(zip_path: Path) -> list[dict[str, Any]]:
    resources: dict[str, dict[str, Any]] = {}

    def add(resource: dict[str, Any]) -> None:
        if resource["resourceType"] == "Bundle":
            for entry in resource.get("entry", []):
                add(entry["resource"])
        else:
            resources.setdefault(resource["resourceType"] + " " + resource.get("url", resource.get("id", "")), resource)

    with zipfile.ZipFile(zip_path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".json"):
                add(json.loads(archive.read(name)))
    return [resources[key] for key in sorted(resources)]


def type_refs(element: dict[str, Any], path: str) -> tuple[TypeRef, ...]:
    if "contentReference" in element:
        return (TypeRef(element["contentReference"].lstrip("#")),)
    refs = []
    for item in element.get("type", []):
        code = item["code"]
        if code.startswith(SYSTEM_TYPE):
            # ids and primitive values carry a FHIRPath system type; FHIR's own type stands in an extension
            fhir_type = [
                e["valueUrl"] for e in item.get("extension", []) if e["url"].endswith("structuredefinition-fhir-type")
            ]
            code = fhir_type[0] if fhir_type else code.removeprefix(SYSTEM_TYPE).lower()
        if code in ("BackboneElement", "Element"):
            code = path
        targets = tuple(p.removeprefix(CORE) for p in item.get("targetProfile", []))
        refs.append(TypeRef(code, () if "Resource" in targets else targets))
    return tuple(refs)


def build_types(structures: list[dict[str, Any]], constraints: dict[str, Constraint]) -> dict[str, TypeDefinition]:
    types: dict[str, TypeDefinition] = {}
    for structure in structures:
        kind = {"resource": "resource", "complex-type": "complex", "primitive-type": "primitive"}[structure["kind"]]
        groups: dict[str, dict[str, Element]] = {}
        own: dict[str, tuple[str, ...]] = {}
        for raw in structure["snapshot"]["element"]:
            path = raw["path"]
            keys = tuple(register(constraints, c, structure["name"]) for c in raw.get("constraint", []))
            if "." not in path:
                groups[path], own[path] = {}, keys
                continue
            parent, name = path.rsplit(".", 1)
            if raw["max"] == "0":
                continue
            refs = type_refs(raw, path)
            if any(SIMPLE_QUANTITY in item.get("profile", ()) for item in raw.get("type", ())):
                keys += (register(constraints, NO_COMPARATOR, "SimpleQuantity"),)
            binding = raw.get("binding", {})
            element = Element(
                name=name.removesuffix("[x]"),
                min=raw["min"],
                max=0 if raw["max"] == "*" else int(raw["max"]),
                types=refs,
                choice=name.endswith("[x]"),
                value_set=binding.get("valueSet", "").split("|")[0] if binding.get("strength") == "required" else "",
                invariants=keys,
                summary=raw.get("isSummary", False),
                modifier=raw.get("isModifier", False),
            )
            groups[parent][element.name] = element
            if refs and refs[0].code == path:
                groups[path], own[path] = {}, ()
        base = structure.get("baseDefinition", "").removeprefix(CORE)
        for path, elements in groups.items():
            top = path == structure["name"]
            types[path] = TypeDefinition(
                name=path,
                kind=kind if top else "backbone",
                base=base if top else ("BackboneElement" if "modifierExtension" in elements else "Element"),
                elements=elements,
                invariants=own[path],
                abstract=structure["abstract"] if top else False,
            )
    return types


def register(constraints: dict[str, Constraint], raw: dict[str, Any], owner: str) -> str:
    """File a constraint under its key; under key@type where 4.0.1 gives one key two meanings (inv-1 and a few
    others)."""
    constraint = Constraint(raw["key"], raw["severity"], raw.get("expression", ""))
    for name in (raw["key"], raw["key"] + "@" + raw.get("source", owner).removeprefix(CORE).split(".")[0]):
        if constraints.setdefault(name, constraint) == constraint:
            return name
    raise SystemExit(f"constraint {raw['key']} of {owner} has a third meaning")


def codes_below(concepts: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for concept in concepts:
        found.append(concept["code"])
        found.extend(codes_below(concept.get("concept", [])))
    return found


def expand(url: str, value_sets: dict[str, Any], systems: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    if url in MISSING:
        return MISSING[url]
    if url in NOT_ENUMERABLE:
        return {}
    expansion: dict[str, tuple[str, ...]] = {}
    compose = value_sets[url]["compose"]
    if compose.get("exclude"):
        raise SystemExit(f"{url} excludes codes: not handled")
    for include in compose["include"]:
        for other in include.get("valueSet", []):
            expansion.update(expand(other.split("|")[0], value_sets, systems))
        if "system" not in include:
            continue
        system = include["system"]
        if include.get("filter"):
            raise SystemExit(f"{url} filters {system}: not handled")
        codes = [c["code"] for c in include.get("concept", [])] or codes_below(systems[system].get("concept", []))
        if not codes:
            raise SystemExit(f"{url}: {system} has no codes")
        expansion[system] = expansion.get(system, ()) + tuple(codes)
    return expansion


def standard_parameters(zip_path: Path) -> set[str]:
    """The URLs of the 1,375 parameters that the specification lists; its extensions bring a dozen more."""
    with zipfile.ZipFile(zip_path) as archive:
        bundle = json.loads(archive.read("search-parameters.json"))
    return {entry["resource"]["url"] for entry in bundle["entry"]}


def build_search(resources: list[dict[str, Any]], standard: set[str]) -> tuple[SearchParameter, ...]:
    return tuple(
        SearchParameter(
            url=raw["url"],
            code=raw["code"],
            type=raw["type"],
            bases=tuple(raw["base"]),
            expression=raw.get("expression", ""),
            targets=tuple(raw.get("target", [])),
            components=tuple(Component(c["definition"], c["expression"]) for c in raw.get("component", [])),
        )
        for raw in resources
        if raw["resourceType"] == "SearchParameter" and raw["url"] in standard
    )


def single_element(types: dict[str, TypeDefinition], expression: str, resource_type: str) -> Element | None:
    """The element that a search expression names in this type, if it is one path directly below the resource, max 1."""
    parts = [p.strip() for p in expression.split("|") if p.strip().startswith(resource_type + ".")]
    if len(parts) != 1:
        return None
    path = parts[0].removeprefix(resource_type + ".").split(".where(resolve() is Patient)")[0].strip()
    path = path.split(" as ")[0].split(".as(")[0].strip("()")
    element = types[resource_type].elements.get(path)
    return element if element is not None and element.max == 1 else None


def main(zip_path: Path) -> None:
    resources = read(zip_path)
    structures = [
        r
        for r in resources
        if r["resourceType"] == "StructureDefinition" and r.get("derivation") != "constraint" and r["kind"] != "logical"
    ]
    if not any(r["name"] == "ExampleScenario" for r in structures):
        structures.append(example_scenario.structure(next(r for r in structures if r["name"] == "Basic")))
    constraints: dict[str, Constraint] = {}
    types = build_types(structures, constraints)
    names = sorted(n for n, t in types.items() if t.kind == "resource" and not t.abstract)
    value_sets = {r["url"]: r for r in resources if r["resourceType"] == "ValueSet"}
    systems = {r["url"]: r for r in resources if r["resourceType"] == "CodeSystem"}
    bound = sorted({e.value_set for t in types.values() for e in t.elements.values() if e.value_set})
    search = build_search(resources, standard_parameters(zip_path))
    compartments = {
        r["code"]: {x["code"]: tuple(x["param"]) for x in r["resource"] if x.get("param")}
        for r in resources
        if r["resourceType"] == "CompartmentDefinition"
    }
    patient_path: dict[str, str] = {}
    date_param: dict[str, str] = {}
    for name in names:
        params = {p.code: p for p in search if name in p.bases}
        for code in PATIENT_CODES:
            param = params.get(code)
            if (param and code in compartments["Patient"].get(name, ())) or (param and code == "patient"):
                element = single_element(types, param.expression, name)
                if element and any(not ref.targets or "Patient" in ref.targets for ref in element.types):
                    patient_path[name] = code
                    break
        for code in CLINICAL_DATES:
            if code in params and params[code].type == "date":
                date_param[name] = code
                break
    pack = Definitions(
        version="4.0.1",
        types=types,
        type_ids={name: number for number, name in enumerate(names, start=1)},
        constraints=constraints,
        value_sets={url: expand(url, value_sets, systems) for url in bound},
        search_parameters=search,
        compartments=compartments,
        patient_path=patient_path,
        date_param=date_param,
    )
    PACK.write_bytes(gzip.compress(msgspec.json.encode(pack), compresslevel=9, mtime=0))
    size = PACK.stat().st_size
    print(f"{PACK}: {len(types)} types, {len(names)} resource types, {len(search)} search parameters, {size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
