"""What rules demand, in words for people. docs/access.md, "Why?" """

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.access import relations
from fhir_server.access.conditions import About, Condition, Consented, HasAny, Names, Related, Unlabelled
from fhir_server.access.policy import Rule

KINDS: dict[type, str] = {
    About: "about",
    Related: "relationship",
    Names: "names",
    Unlabelled: "label",
    HasAny: "scope-constraint",
    Consented: "consent",
}
"""A code for each condition."""


def condition(one: Condition) -> str:
    """What a resource must be like, as the end of a sentence: "that is ..."."""
    match one:
        case About(patient):
            return f"about {patient}"
        case Related(persons, kinds):
            ways = " or ".join(relations.NAMES[kind] for kind in kinds)
            return f"about a patient to whom {_either(persons)} is related now, by {ways}"
        case Names(persons):
            return f"naming {_either(persons)}"
        case Unlabelled(labels):
            return f"without the security labels {', '.join(label.rpartition('|')[2] for label in labels)}"
        case HasAny():
            return "with a value that the scope names"
        case Consented():
            return "withheld by no consent of its patient"


def rule(one: Rule, resource_type: str) -> str:
    """Which resources of a type a rule lets through."""
    if not one.conditions:
        return f"every {resource_type}"
    return f"each {resource_type} that is {', and '.join(condition(each) for each in one.conditions)}"


def _either(persons: Iterable[str]) -> str:
    return " or ".join(persons)
