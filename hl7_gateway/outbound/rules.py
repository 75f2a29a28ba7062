"""A destination as it is configured: where it is, what it calls things, and what it is told. docs/hl7-outbound.md"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, get_origin
from zoneinfo import available_timezones

from fhir_server.fhirpath.compiler import compile_expression
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.lexer import FhirPathSyntaxError

MESSAGES: Final[Mapping[str, str]] = {
    "Patient": "ADT",
    "Encounter": "ADT",
    "DiagnosticReport": "ORU",
    "Observation": "ORU",
    "Appointment": "SIU",
}
"""Which resources are told, and by which message type."""

VERSIONS: Final = ("2.5", "2.5.1", "2.6", "2.7", "2.8")
"""Versions that messages are written in: from SPM on."""

LONGEST_WAIT: Final = 300
"""Seconds between two attempts at most."""

_LONGEST_EXPRESSION: Final = 2_000


class NotADestination(ValueError):
    """What is wrong with a configuration: each problem with its place, and what would be right."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Rule:
    """Changes of ``resource`` become messages of type ``message`` where the expression ``when`` is true of it.

    An empty ``when`` is always true. https://hl7.org/fhirpath/N1/
    """

    resource: str
    message: str
    when: str = ""

    def holds(self, resource: Mapping[str, Any]) -> bool:
        """Whether the rule wants the resource as it is. Raises EvaluationError where its expression cannot tell."""
        if not self.when:
            return True
        found = _compiled(self.when, self.resource)(resource, dict(resource), dict(resource))
        if len(found) > 1:
            raise EvaluationError("The expression of a rule must yield one value.")
        # One value that is no boolean is true: https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
        return bool(found) and found[0] is not False


@lru_cache(maxsize=512)
def _compiled(expression: str, kind: str) -> Callable[[Any, dict[str, Any], dict[str, Any]], list[Any]]:
    return compile_expression(expression, kind)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where a destination is, and how it is spoken to.

    ``ca``, ``certificate`` and ``key`` are names of files in PEM for ``tls``. MSH-3 to 6 are ``application`` and
    ``facility`` (ours), ``receiving_application`` and ``receiving_facility``. Times are told in ``zone``, or
    as they are.
    ``authorities``: identifier system -> namespace of the assigning authority; ``code_systems``: URI -> name, beside
    those of HL7 table 0396. ``latest_only``: of versions that wait, only the last is told. ``timeout`` seconds are
    waited for an answer, ``retry`` seconds after the first attempt without one, twice as long each time up to
    LONGEST_WAIT; after ``attempts`` of them (0: for ever) a message is a dead letter. ``processing_id`` is MSH-11.
    """

    host: str
    port: int
    rules: tuple[Rule, ...]
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    application: str = "FHIR"
    facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    version: str = "2.5.1"
    processing_id: str = "P"
    zone: str = ""
    latest_only: bool = False
    timeout: float = 30.0
    retry: float = 1.0
    attempts: int = 0
    authorities: Mapping[str, str] = field(default_factory=dict)
    code_systems: Mapping[str, str] = field(default_factory=dict)

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that a rule is about."""
        return tuple(dict.fromkeys(rule.resource for rule in self.rules))

    def wait(self, attempts: int) -> float:
        """Seconds to wait after so many attempts."""
        return float(min(LONGEST_WAIT, self.retry * 2 ** min(attempts - 1, 30)))


_KINDS: Final[Mapping[str, tuple[Any, str]]] = {
    "host": (str, "a host name or address"),
    "port": (int, "a number from 1 to 65535"),
    "tls": (bool, "true or false"),
    "ca": (str, "the name of a file"),
    "certificate": (str, "the name of a file"),
    "key": (str, "the name of a file"),
    "application": (str, "a text"),
    "facility": (str, "a text"),
    "receiving_application": (str, "a text"),
    "receiving_facility": (str, "a text"),
    "version": (str, f"one of {', '.join(VERSIONS)}"),
    "processing_id": (str, "P, T or D"),
    "zone": (str, "a name of the time zone database, as in Europe/Berlin"),
    "latest_only": (bool, "true or false"),
    "timeout": (float, "seconds, from 0.1 to 600"),
    "retry": (float, f"seconds, from 0.1 to {LONGEST_WAIT}"),
    "attempts": (int, "how often, 0 for ever"),
    "authorities": (dict[str, str], "namespaces by identifier system"),
    "code_systems": (dict[str, str], "names by the URI of a code system"),
}


KEYS: Final = (*_KINDS, "rules")
"""What may be configured."""


def read(configuration: Mapping[str, Any]) -> Configuration:
    """A configuration as it is stored, checked. Raises NotADestination."""
    problems = [f"{key[:40]} is not known; there are {', '.join(KEYS)}." for key in configuration if key not in KEYS]
    found: dict[str, Any] = {}
    for key, (kind, said) in _KINDS.items():
        if key in configuration:
            value = configuration[key]
            if _is(value, kind) and _possible(key, value):
                found[key] = float(value) if kind is float else value
            else:
                problems.append(f"{key} must be {said}.")
        elif key in ("host", "port"):
            problems.append(f"{key} is missing.")
    if (found.get("ca") or found.get("certificate")) and not found.setdefault("tls", True):
        problems.append("tls must be true where there is a ca or certificate.")
    if found.get("key") and not found.get("certificate"):
        problems.append("key is of no use without certificate.")
    rules = _rules(configuration.get("rules"), problems)
    if problems:
        raise NotADestination(problems)
    return Configuration(rules=rules, **found)


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(isinstance(one, str) and one for one in (*value, *value.values()))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _possible(key: str, value: Any) -> bool:
    bounds: Mapping[str, tuple[float, float]] = {
        "port": (1, 65535), "timeout": (0.1, 600), "retry": (0.1, LONGEST_WAIT), "attempts": (0, 1_000_000),
    }  # fmt: skip
    if key in bounds:
        low, high = bounds[key]
        return bool(low <= value <= high)
    choices: Mapping[str, Any] = {"version": VERSIONS, "processing_id": ("P", "T", "D")}
    if key in choices:
        return value in choices[key]
    if key == "zone":
        return value in available_timezones()
    if key == "host":
        return bool(value) and not re.search(r"[\s/]", value)
    return True


def _rules(given: Any, problems: list[str]) -> tuple[Rule, ...]:
    if not isinstance(given, list) or not given:
        problems.append("rules must be a list of at least one rule.")
        return ()
    return tuple(rule for number, one in enumerate(given, 1) if (rule := _rule(one, f"rules[{number}]", problems)))


def _rule(given: Any, where: str, problems: list[str]) -> Rule | None:
    if not isinstance(given, dict) or not given.keys() <= {"resource", "message", "when"}:
        problems.append(f"{where} must have resource, message and, where it is not for all of them, when.")
        return None
    resource, message, when = given.get("resource"), given.get("message"), given.get("when", "")
    if not isinstance(resource, str) or resource not in MESSAGES:
        problems.append(f"{where}: resource must be one of {', '.join(MESSAGES)}.")
        return None
    if message is not None and message != MESSAGES[resource]:
        problems.append(f"{where}: message must be {MESSAGES[resource]} for {resource}.")
        return None
    if not isinstance(when, str) or len(when) > _LONGEST_EXPRESSION:
        problems.append(f"{where}: when must be a FHIRPath expression of {_LONGEST_EXPRESSION} characters at most.")
        return None
    rule = Rule(resource, MESSAGES[resource], when.strip())
    try:
        rule.holds({"resourceType": resource})
    except (FhirPathSyntaxError, Unsupported) as error:
        problems.append(f"{where}: when is no expression that can be evaluated: {error}")
        return None
    except EvaluationError:
        # It may be right of resources that have something in them.
        pass
    return rule
