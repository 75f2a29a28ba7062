"""The invariants as Python expressions, for both passes. https://hl7.org/fhir/R4/conformance-rules.html#constraints

The invariants that everyday data meets are written here by hand, so that they cost next to nothing; a test holds each
against its FHIRPath. All others are compiled from the expression in the definitions pack.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath.invariants import compile_invariant, elements_named
from fhir_server.r4 import definitions
from fhir_server.validation import conditions, rules
from fhir_server.validation.rules import TypeRules

Node = dict[str, Any]
Holds = Callable[[Node], bool]

EXISTS = re.compile(r"\{(\w+)\}")

EXPRESSIONS: dict[str, str] = {
    "age-1": "conditions.age(o)",
    "ait-1": "{clinicalStatus} or conditions.allergy_entered_in_error(o)",
    "ait-2": "not {clinicalStatus} or not conditions.allergy_entered_in_error(o)",
    "app-1": "{type} or {actor}",
    "app-2": "{start} == {end}",
    "app-3": "({start} and {end}) or o.get('status') in ('proposed', 'cancelled', 'waitlist')",
    "app-4": "not {cancelationReason} or o.get('status') in ('no-show', 'cancelled')",
    "apr-1": "{participantType} or {actor}",
    "att-1": "not {data} or {contentType}",
    "bdl-1": "not {total} or o.get('type') in ('searchset', 'history')",
    "bdl-2": "o.get('type') == 'searchset' or not conditions.entry_has(o, 'search')",
    "bdl-3": "conditions.entries_have(o, 'request', o.get('type') in ('batch', 'transaction', 'history'))",
    "bdl-4": (
        "conditions.entries_have(o, 'response', o.get('type') in ('batch-response', 'transaction-response', 'history'))"
    ),
    "bdl-5": "{resource} or {request} or {response}",
    "bdl-7": "o.get('type') == 'history' or conditions.full_urls_are_distinct(o)",
    "bdl-8": "'/_history/' not in o.get('fullUrl', '')",
    "bdl-9": "o.get('type') != 'document' or conditions.has_full_identifier(o)",
    "bdl-10": "o.get('type') != 'document' or 'timestamp' in o",
    "bdl-11": "o.get('type') != 'document' or conditions.first_entry_is(o, 'Composition')",
    "bdl-12": "o.get('type') != 'message' or conditions.first_entry_is(o, 'MessageHeader')",
    "ces-1": "{category} != {productOrService}",
    "cmp-1": "{text} or {entry} or {section}",
    "cmp-2": "not {emptyReason} or not {entry}",
    "cnt-3": "conditions.count(o)",
    "con-1": "{summary} or {assessment}",
    "con-2": "{code} or {detail}",
    "con-4": "not {abatement} or conditions.condition_is_over(o)",
    "con-5": "not {clinicalStatus} or not conditions.condition_entered_in_error(o)",
    "cpl-3": "not {detail} or not {reference}",
    "cpt-2": "not {value} or {system}",
    "csd-1": "conditions.concept_codes_are_distinct(o)",
    "ctm-1": "not {onBehalfOf} or conditions.member_may_be_practitioner(o)",
    "dis-1": "({code} or not {value}) and (not {system} or o.get('system') == conditions.UCUM)",
    "dom-6": "'div' in o.get('text', ())",
    "drq-1": "{path} != {searchParam}",
    "drq-2": "{path} != {searchParam}",
    "drt-1": "not {code} or ({value} and o.get('system') == conditions.UCUM)",
    "eld-3": "o == '*' or o.isascii() and o.isdigit()",
    "exp-1": "{expression} or {reference}",
    "fhs-1": "not {age} or not {born}",
    "fhs-2": "{age} or not {estimatedAge}",
    "gol-1": "not {detail} or {measure}",
    "grp-1": "not {member} or o.get('actual') is True",
    "ig-1": "conditions.groupings_are_known(o)",
    "ig-2": "conditions.versions_are_known(o)",
    "imm-1": "{documentType} or {reference}",
    "imr-1": "{vaccineCode} or {targetDisease}",
    "inv-1": "{part} + {value} + {resource} == 1",
    "inv-1@Task": "not conditions.after(o.get('authoredOn'), o.get('lastModified'))",
    "ipn-1": "{identifier} or {name}",
    "lst-1": "not {emptyReason} or not {entry}",
    "lst-2": "o.get('mode') == 'changes' or not conditions.entry_has(o, 'deleted')",
    "lst-3": "o.get('mode') == 'working' or not conditions.entry_has(o, 'date')",
    "mad-1": "{dose} or {rate}",
    "mdd-1": "not conditions.after(o.get('whenPrepared'), o.get('whenHandedOver'))",
    "obs-3": "{low} or {high} or {text}",
    "obs-6": "not {dataAbsentReason} or not {value}",
    "obs-7": "not {value} or not {component} or not conditions.component_repeats_code(o)",
    "org-1": "{identifier} or {name}",
    "org-2": "o.get('use') != 'home'",
    "org-3": "o.get('use') != 'home'",
    "pat-1": "{name} or {telecom} or {address} or {organization}",
    "per-1": "not conditions.after(o.get('start'), o.get('end'))",
    "ppc-1": "{policy} or {policyRule}",
    "prr-1": "not {orderDetail} or {code}",
    "qrs-1": "not {answer} or not {item}",
    "qty-3": "not {code} or {system}",
    "que-1": "({item} or o.get('type') != 'group') and (not {item} or o.get('type') != 'display')",
    "que-2": "conditions.link_ids_are_distinct(o)",
    "que-3": "not {code} or o.get('type') != 'display'",
    "que-4": "not {answerOption} or not {answerValueSet}",
    "que-5": "not ({answerOption} or {answerValueSet}) or o.get('type') in conditions.ANSWERABLE",
    "que-6": "not ({required} or {repeats}) or o.get('type') != 'display'",
    "que-8": "not {initial} or o.get('type') not in ('group', 'display')",
    "que-9": "not {readOnly} or o.get('type') != 'display'",
    "que-10": "not {maxLength} or o.get('type') in conditions.MEASURABLE",
    "que-11": "not {answerOption} or not {initial}",
    "que-12": "{enableBehavior} or len(o.get('enableWhen', ())) <= 2",
    "que-13": "o.get('repeats') is True or len(o.get('initial', ())) <= 1",
    "ras-2": "o.get('probabilityDecimal', 0) <= 100",
    "rat-1": "{numerator} == {denominator} and ({numerator} or {extension})",
    "rng-2": "not conditions.exceeds(o.get('low'), o.get('high'))",
    "rqg-1": "{resource} != {action}",
    "sdf-8": "conditions.snapshot_paths_start_right(o)",
    "sdf-8a": "conditions.differential_paths_start_right(o)",
    "sev-1": "not {name} or not {query}",
    "sqty-1": "not {comparator}",
    "tim-1": "not {duration} or {durationUnit}",
    "tim-2": "not {period} or {periodUnit}",
    "tim-4": "o.get('duration', 0) >= 0",
    "tim-5": "o.get('period', 0) >= 0",
    "tim-6": "not {periodMax} or {period}",
    "tim-7": "not {durationMax} or {duration}",
    "tim-8": "not {countMax} or {count}",
    "tim-9": "not {offset} or ({when} and not conditions.when_is_a_meal(o))",
    "tim-10": "not {timeOfDay} or not {when}",
    "trd-1": "not {data} or not {timing}",
    "trd-2": "not {condition} or {data}",
    "vsd-1": "{valueSet} or {system}",
    "vsd-2": "{system} or not ({concept} or {filter})",
    "vsd-3": "not {concept} or not {filter}",
    "vsd-6": "{code} or {display}",
    "vsd-9": "{code} or o.get('abstract') is True",
    "vsd-10": "not {code} or {system}",
}
"""By key: a Python expression over the node ``o``; ``{name}`` stands for FHIRPath's ``name.exists()``."""


def source(key: str, type_rules: TypeRules, exists: Callable[[str], str]) -> str:
    """The Python expression that is true where the invariant holds for a node ``o`` of this type.

    ``exists`` gives the source that tests for an element. The expression may use ``conditions`` and ``compiled``.
    """
    expression = EXPRESSIONS.get(key)
    if expression is None:
        expression = f"compiled({key!r}, {type_rules.name!r})(o)"
        names = elements_named(definitions.load().constraints[key].expression)
        if names and names <= type_rules.definition.elements.keys() and compiled(key, type_rules.name)({}):
            # Where none of the elements is there that the expression speaks of, it holds.
            present = " or ".join(f"{{{name}}}" for name in sorted(names))
            expression = f"not ({present}) or {expression}"
    return EXISTS.sub(lambda match: exists(match[1]), expression)


@lru_cache(maxsize=4096)
def compiled(key: str, type_name: str) -> Holds:
    """An invariant compiled from its FHIRPath expression. https://hl7.org/fhir/R4/fhirpath.html"""
    holds = compile_invariant(definitions.load().constraints[key].expression, type_name)
    return lambda node: holds(node, node, node)


@lru_cache(maxsize=4096)
def predicate(key: str, type_name: str) -> Holds:
    """Whether an invariant holds for a node of a type, whatever the node's properties are, ``_name`` ones included."""
    type_rules = rules.of(type_name)

    def exists(name: str) -> str:
        element = type_rules.definition.elements[name]
        names = [spelling for base in element.json_names() for spelling in (base, "_" + base)]
        if len(names) > 2:
            return f"(not {frozenset(names)!r}.isdisjoint(o))"
        return f"({names[0]!r} in o or {names[1]!r} in o)"

    code = f"lambda o: {source(key, type_rules, exists)}"
    holds: Holds = eval(code, {"conditions": conditions, "compiled": compiled})  # noqa: S307 - source from our own tables
    return holds
