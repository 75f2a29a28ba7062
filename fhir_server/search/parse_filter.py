"""One ``name=value`` of a search as a filter: a clause, a chain or a reverse chain. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions, references
from fhir_server.search import result_parameters, support
from fhir_server.search.filter_language import parse_filter
from fhir_server.search.query import Chain, Clause, Combination, Filter, Has
from fhir_server.search.registry import STANDARD, Parameter, Registry
from fhir_server.search.result_parameters import Ignorable
from fhir_server.search.suggest import nearest, refusal, shown

MOST_JOINS = 12
"""How deep chains may go, and reverse chains into each other."""

MOST_READINGS = 1_000
"""How many readings a chain without types may have: each step multiplies them by the types it may lead to."""

_EVERYWHERE = frozenset({"_has", "_list", "_in"})
"""What every type can be searched by though it is no parameter of it."""

_LIST_MEMBERS = {"List": "item", "Group": "member", "CareTeam": "participant"}
"""By what the resources of ``_list`` and ``_in`` are referred to."""


@dataclass(slots=True)
class FilterParser:
    """Parses filters of one search; ``values`` and ``readings`` count what all of them together ask for.

    ``check_values`` has values looked at now, so that lenient handling can leave them out.
    """

    registry: Registry = STANDARD
    check_values: bool = False
    values: int = 0
    readings: int = field(default=0)

    def parse(self, resource_type: str, name: str, value: str, depth: int = 0) -> Filter:
        """The filter that ``name=value`` is for resources of a type.

        Raises Ignorable for what is not known, BadRequest for what is and cannot be done.
        """
        self.readings += 1
        if depth > MOST_JOINS or self.readings > MOST_READINGS:
            raise BadRequest(
                f"{shown(name)} joins too many types of resources: name the type at each step of a chain, "
                f"subject:Patient.name, and use at most {MOST_JOINS} steps.",
                code="too-costly",
            )
        code = name.partition(":")[0]
        if code == "_has":
            return self._has(resource_type, name, value, depth)
        if name == "_filter":
            return parse_filter(
                resource_type, value, self.registry, lambda one, named, text, _: self.parse(one, named, text, depth + 1)
            )
        if code in ("_list", "_in") and name == code:
            return self._member(resource_type, name, value)
        if "." in name:
            return self._chain(resource_type, name, value, depth)
        return self._clause(resource_type, name, value)

    def _clause(self, resource_type: str, name: str, value: str) -> Clause:
        code, _, modifier = name.partition(":")
        parameter = self._parameter(resource_type, code, name)
        _check_modifier(parameter, modifier, name)
        values = tuple(split(value))
        if not all(values):
            raise Ignorable(
                f"The parameter {shown(name)} has an empty value: leave it out, "
                f"or write {shown(code + ':missing=true')} to find resources that have none."
            )
        if modifier not in support.WITHOUT_PREFIX:
            for one in values:
                _check_prefix(parameter, one, name)
        self.values += len(values)
        clause = Clause(parameter, modifier, values, f"{name}={value}")
        if self.check_values:
            # Without leniency the compiler finds the same, and refuses it there.
            try:
                support.check_values(clause)
            except BadRequest as refused:
                raise Ignorable(str(refused), refused.issues[0].code) from None
        return clause

    def _parameter(self, resource_type: str, code: str, name: str) -> Parameter:
        known = self.registry.parameters(resource_type)
        parameter = known.get(code)
        if parameter is None:
            raise Ignorable(self._unknown(resource_type, code, name), "not-supported")
        if parameter.status != "active":
            raise BadRequest(
                f"The search parameter {shown(code)} of {resource_type} cannot be used yet: {parameter.status}.",
                code="not-supported",
            )
        if not support.is_supported(parameter):
            raise BadRequest(
                f"The search parameter {shown(code)} of {resource_type} is not supported by this server.",
                code="not-supported",
            )
        return parameter

    def _unknown(self, resource_type: str, code: str, name: str) -> str:
        valid = [p.code for p in support.searchable(resource_type, self.registry)]
        close = nearest(code, [*valid, *result_parameters.NAMES])
        if close and close[0] in result_parameters.NAMES:
            return f"Unknown parameter {shown(name)}. Did you mean {close[0]!r}?"
        return f"Unknown parameter {shown(name)}.{refusal(f'search parameters of {resource_type}', code, valid)}"

    def _chain(self, resource_type: str, name: str, value: str, depth: int) -> Chain:
        """``subject:Patient.name=x``. https://hl7.org/fhir/R4/search.html#chaining"""
        step, _, rest = name.partition(".")
        code, _, wanted = step.partition(":")
        parameter = self._parameter(resource_type, code, name)
        if parameter.type != "reference":
            raise Ignorable(
                f"{shown(name)} is no chain: {shown(code)} of {resource_type} is of type {parameter.type}, and only "
                "references lead to other resources.",
                "not-supported",
            )
        types = _target_types(parameter, wanted, name)
        first = rest.partition(":")[0].partition(".")[0]
        usable = [one for one in types if first in self.registry.parameters(one) or first in _EVERYWHERE]
        if not usable:
            try:
                self.parse(types[0], rest, value, depth + 1)
            except Ignorable as refused:
                raise Ignorable(_in_chain(name, code, types, refused), refused.issue_type) from None
        targets: list[tuple[str, Filter]] = []
        problem: Ignorable | None = None
        for target in usable:
            try:
                targets.append((target, self.parse(target, rest, value, depth + 1)))
            except Ignorable as refused:
                problem = refused
        if problem is not None and not targets:
            raise Ignorable(_in_chain(name, code, types, problem), problem.issue_type)
        return Chain(parameter, tuple(targets), f"{name}={value}")

    def _has(self, resource_type: str, name: str, value: str, depth: int) -> Has:
        """``_has:Observation:patient:code=x``. https://hl7.org/fhir/R4/search.html#has"""
        parts = name.split(":", 3)
        if len(parts) < 4 or not all(parts):
            raise Ignorable(
                f"{shown(name)} is no reverse chain: write _has:[type]:[reference]:[parameter], "
                f"such as _has:Observation:patient:code=1234-5."
            )
        _, source, code, rest = parts
        if source not in definitions.load().type_ids:
            known = definitions.load().resource_types
            raise Ignorable(
                f"Unknown resource type {shown(source)} in {shown(name)}.{_near(source, known)}", "not-supported"
            )
        parameter = self._parameter(source, code, name)
        if parameter.type != "reference":
            raise Ignorable(
                f"{shown(code)} of {source} in {shown(name)} is of type {parameter.type}; a reverse chain needs a "
                f"reference that leads to {resource_type}.",
                "not-supported",
            )
        if parameter.targets and resource_type not in parameter.targets:
            raise Ignorable(
                f"{shown(code)} of {source} in {shown(name)} leads to {' or '.join(parameter.targets[:10])}, "
                f"not to {resource_type}.",
                "not-supported",
            )
        return Has(parameter, self.parse(source, rest, value, depth + 1), f"{name}={value}")

    def _member(self, resource_type: str, name: str, value: str) -> Filter:
        """``_list=42`` and ``_in=Group/42``: what a List, Group or CareTeam has as its members.

        https://hl7.org/fhir/R4/search.html#list
        """
        parts: list[Filter] = []
        for one in split(value):
            named = references.parse(one)
            source, member_of = named.type, named.id
            if name == "_list" and references.ID.fullmatch(one):
                source, member_of = "List", one
            if source not in (_LIST_MEMBERS if name == "_in" else ("List",)) or named.kind not in ("relative", "uri"):
                right = "_in takes Group/id, List/id or CareTeam/id"
                if name == "_list":
                    right = "_list takes the id of a List; lists such as $current-allergies are not kept"
                raise Ignorable(f"{shown(name + '=' + one)}: {right}.")
            self.values += 1
            parameter = self._parameter(source, _LIST_MEMBERS[source], name)
            parts.append(Has(parameter, self._clause(source, "_id", member_of), f"{name}={value}"))
        return parts[0] if len(parts) == 1 else Combination("or", tuple(parts), f"{name}={value}")


def _target_types(parameter: Parameter, wanted: str, name: str) -> tuple[str, ...]:
    types = definitions.load().type_ids
    known = tuple(target for target in parameter.targets if target in types) or tuple(types)
    if not wanted:
        return known
    if wanted not in known:
        what = f"types that {parameter.code} leads to"
        raise Ignorable(
            f"{shown(parameter.code)} in {shown(name)} does not lead to {shown(wanted)}.{refusal(what, wanted, known)}",
            "not-supported",
        )
    return (wanted,)


def _in_chain(name: str, code: str, types: tuple[str, ...], refused: Ignorable) -> str:
    if len(types) == 1:
        return f"In the chain {shown(name)}: {refused}"
    return (
        f"In the chain {shown(name)}: none of the {len(types)} types that {shown(code)} leads to can be searched so; "
        f"name the type, {code}:{types[0]}. {refused}"
    )


def _near(wanted: str, known: tuple[str, ...]) -> str:
    close = nearest(wanted, known)
    return f" Did you mean {close[0]!r}?" if close else ""


def _check_modifier(parameter: Parameter, modifier: str, name: str) -> None:
    if not modifier and not name.endswith(":"):
        return
    valid = support.modifiers(parameter)
    if modifier in valid:
        return
    what = f"modifiers of {parameter.code} ({parameter.type})"
    raise Ignorable(
        f"Unknown modifier {shown(':' + modifier)} in {shown(name)}."
        + refusal(what, modifier, valid, support.shown_modifiers(parameter)),
        "not-supported",
    )


def _check_prefix(parameter: Parameter, value: str, name: str) -> None:
    valid = support.PREFIXES.get(parameter.type)
    if valid is None:
        return
    prefix = value[: len(value) - len(value.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
    if prefix and prefix not in valid and prefix != value:
        what = f"prefixes of {parameter.code} ({parameter.type})"
        raise Ignorable(
            f"Unknown prefix {shown(prefix)} in {shown(name + '=' + value)}.{refusal(what, prefix, valid)}",
            "not-supported",
        )


def split(value: str) -> list[str]:
    r"""Split at commas that no backslash escapes. https://hl7.org/fhir/R4/search.html#escaping

    ``\,`` becomes a comma; ``\|``, ``\$`` and ``\\`` stay as they are, for the type of the parameter to undo.
    """
    if "\\" not in value:
        return value.split(",")
    parts, part, escaped = [], [], False
    for character in value:
        if escaped:
            part.append(character if character == "," else "\\" + character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append("".join(part))
            part = []
        else:
            part.append(character)
    if escaped:
        part.append("\\")
    parts.append("".join(part))
    return parts
