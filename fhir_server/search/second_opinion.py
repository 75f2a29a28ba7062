"""The values of a tenant's own parameter by an engine that nobody here wrote: fhirpathpy. https://hl7.org/fhirpath/N1/

It has no bound on its work, so that it runs in a process of its own, for as long as TIMEOUT_SECONDS allows:
``python -m fhir_server.search.second_opinion`` takes {"expression", "resources"} and answers {"values"} or {"error"}.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.search.extract_source import generate
from fhir_server.search.paths import paths
from fhir_server.search.registry import Parameter
from fhir_server.search.types import BY_TYPE
from fhir_server.store.index_rows import IndexRows

TIMEOUT_SECONDS = 60

_KEPT = re.compile(r"is_of_type|target|extract|(?:kinds|evaluate)\d+|__builtins__")
_RESOLVE = re.compile(r"where\(resolve\(\) is (\w+)\)")
_AS_INFIX = re.compile(r"\(([\w.]+) as (\w+)\)")
_AS_FUNCTION = re.compile(r"\.as\((\w+)\)")


def differing(parameter: Parameter, resources: Sequence[dict[str, Any]]) -> tuple[list[int], str]:
    """The positions of resources in which the two engines find other values for a parameter's index.

    Where nothing can be said, [] and why: the other engine cannot evaluate it, or not in time.
    """
    if parameter.type == "composite":
        return [], "composites are compared row by row only"
    theirs, problem = _theirs(parameter.expression, resources)
    if problem:
        return [], problem
    written = BY_TYPE[parameter.type].EXTRACT
    complete = all(path.type in written for path in paths(parameter.expression, parameter.resource_type))
    found = []
    for position, (resource, other) in enumerate(zip(resources, theirs, strict=True)):
        own = recorded(parameter, resource)
        # What has no place in an index of this type is not recorded, and the other engine cannot tell.
        if own != set(other) if complete else not own <= set(other):
            found.append(position)
    return found, ""


def recorded(parameter: Parameter, resource: dict[str, Any]) -> set[str]:
    """What the generated extractor hands to the index for a parameter, as texts."""
    return _recorder(parameter)(resource)


@lru_cache(maxsize=64)
def _recorder(parameter: Parameter) -> Callable[[dict[str, Any]], set[str]]:
    source, names = generate(parameter.resource_type, (parameter,))
    found: set[str] = set()

    def record(value: Any, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
        if parameter.param in params:
            found.add(text(value))

    def pass_over(*_: object) -> None:
        return None

    own: dict[str, Any] = {name: value if _KEPT.fullmatch(name) else record for name, value in names.items()}
    own["write_composite"] = pass_over
    exec(compile(source, "<recorder>", "exec"), own)  # noqa: S102 - generated from the pack
    hasher = Hasher(bytes(16))

    def run(resource: dict[str, Any]) -> set[str]:
        found.clear()
        own["extract"](resource, IndexRows(), hasher)
        return set(found)

    return run


def text(value: Any) -> str:
    """A value as JSON that does not depend on the order of its properties, or on how an engine boxes it.

    Raises TypeError for what is not JSON.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f'"{name}":{text(value[name])}' for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text, value)) + "]"
    if isinstance(value, (str, bool, int)):
        return json.dumps(value).decode()
    if isinstance(value, (Decimal, float)):
        return str(Decimal(str(value)).normalize())
    raise TypeError(type(value).__name__)


def _theirs(expression: str, resources: Sequence[dict[str, Any]]) -> tuple[list[list[str]], str]:
    question = json.dumps({"expression": expression, "resources": list(resources)})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fhir_server.search.second_opinion"],
            input=question,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [], f"the other engine takes more than {TIMEOUT_SECONDS} s"
    if done.returncode:
        return [], "the other engine cannot evaluate it"
    answer = json.parse(done.stdout)
    return answer["values"], ""


def rewritten(expression: str) -> str:
    """The expression in the words that fhirpathpy has.

    It resolves no references, so that their text decides; its ``as`` takes one value at most, where search parameters
    expect that of ``ofType``; and it takes Resource for an element.
    """
    expression = _RESOLVE.sub(r"where(reference.startsWith('\1/') or reference.contains('/\1/'))", expression)
    expression = _AS_FUNCTION.sub(r".ofType(\1)", _AS_INFIX.sub(r"\1.ofType(\2)", expression))
    return re.sub(r"\b(?:Domain)?Resource\.", "", expression)


def main() -> None:
    """Answer the question on standard input on standard output; whatever goes wrong is the exit status."""
    import fhirpathpy
    from fhirpathpy.models import models

    question = json.parse(sys.stdin.buffer.read())
    evaluate = fhirpathpy.compile(rewritten(question["expression"]), models["r4"])
    values = [sorted({text(v) for v in evaluate(r, {"resource": r})}) for r in question["resources"]]
    sys.stdout.buffer.write(json.dumps({"values": values}))


if __name__ == "__main__":
    main()
