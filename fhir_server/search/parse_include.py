"""``_include`` and ``_revinclude`` as `Include`s. https://hl7.org/fhir/R4/search.html#revinclude"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.r4 import definitions
from fhir_server.search.query import Include
from fhir_server.search.registry import Parameter, Registry
from fhir_server.search.result_parameters import Ignorable
from fhir_server.search.suggest import nearest, refusal, shown

NAMES = ("_include", "_revinclude")
_MODIFIERS = ("iterate", "recurse")


def is_include(name: str) -> bool:
    """Whether a parameter is one of these, with or without a modifier."""
    return name.partition(":")[0] in NAMES


def parse_include(resource_types: Sequence[str], name: str, value: str, registry: Registry) -> list[Include]:
    """What ``name=value`` includes: ``Type:parameter``, ``Type:parameter:Target``, ``Type:*`` or ``*``.

    ``resource_types`` are those searched. Raises Ignorable, naming what would be right.
    """
    code, _, modifier = name.partition(":")
    if (modifier or name.endswith(":")) and modifier not in _MODIFIERS:
        raise Ignorable(f"Unknown modifier {shown(':' + modifier)} of {code}; there is :iterate.", "not-supported")
    reverse, iterate = code == "_revinclude", bool(modifier)
    text = f"{name}={value}"
    if value == "*":
        sources = [""] if reverse or iterate else list(resource_types)
        return [Include(source, (), "", reverse, iterate, text) for source in sources]
    parts = value.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise Ignorable(
            f"{shown(text)}: write {code}=[type]:[reference], such as {code}=Observation:subject, "
            f"with :[target type] behind it if one type alone is meant, or {code}=*."
        )
    source, wanted, *rest = parts
    target = rest[0] if rest else ""
    types = definitions.load().resource_types
    for one in (source, *rest):
        if one not in definitions.load().type_ids:
            close = nearest(one, types)
            near = f" Did you mean {close[0]!r}?" if close else ""
            raise Ignorable(f"Unknown resource type {shown(one)} in {shown(text)}.{near}", "not-supported")
    if not reverse and not iterate and source not in resource_types:
        raise Ignorable(
            f"{shown(text)} follows references of {source}, which is not what is searched; "
            f"with {code}:iterate it would follow those of included resources."
        )
    return [Include(source, _parameters(source, wanted, target, text, registry), target, reverse, iterate, text)]


def _parameters(source: str, wanted: str, target: str, text: str, registry: Registry) -> tuple[Parameter, ...]:
    known = {
        code: parameter
        for code, parameter in registry.parameters(source).items()
        if parameter.type == "reference" and parameter.status == "active"
    }
    chosen = list(known.values()) if wanted == "*" else [known[wanted]] if wanted in known else []
    if not chosen:
        raise Ignorable(
            f"Unknown reference {shown(wanted)} in {shown(text)}."
            + refusal(f"references of {source}", wanted, list(known)),
            "not-supported",
        )
    fitting = [one for one in chosen if not target or not one.targets or target in one.targets]
    if not fitting:
        raise Ignorable(
            f"{shown(wanted)} in {shown(text)} does not lead to {target}."
            + refusal(f"types that {wanted} leads to", target, chosen[0].targets)
        )
    return tuple(fitting)
