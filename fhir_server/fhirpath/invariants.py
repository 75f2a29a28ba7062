"""Invariants of R4 as functions that answer yes or no. https://hl7.org/fhir/R4/conformance-rules.html#constraints

They were written for the evaluators of their time, which these readings follow, and R5 rewrote several to say so:

- an empty result does not hold: ``vsd-9`` (``code.exists() or abstract = true``) and ``que-13`` are empty exactly where
  they are broken;
- ``startsWith``, ``endsWith``, ``contains`` and ``is`` of nothing are false: so ``ref-1`` lets a Reference be an
  identifier alone, ``bdl-8`` an entry lack its fullUrl, and ``ras-2`` a prediction its probability;
- ``matches()`` must match the whole text ("[A-Z]([A-Za-z0-9_]){0,254}"; R5 adds the anchors), and holds for nothing
  (R5: ``name.exists() implies name.matches(...)``);
- two dates, or two quantities, whose order is not known (2020-01 against 2020-01-15, mg against mL), do not break
  ``<=``: R5 writes per-1 with lowBoundary() and highBoundary();
- ``is Boolean`` takes the FHIR type boolean, as que-7 needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.compiler import compile_step, run
from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.evaluation import TRUSTED_BUDGET, boolean
from fhir_server.fhirpath.generate import generate
from fhir_server.fhirpath.nodes import Node, root, table
from fhir_server.fhirpath.parser import parse
from fhir_server.r4.json import Json

Invariant = Callable[..., bool]


@lru_cache(maxsize=8192)
def compile_invariant(expression: str, type_name: str) -> Invariant:
    """Compile an invariant: ``holds(node, resource, root_resource, memo=None) -> bool``.

    ``node`` is the JSON of an element of type ``type_name``, or a ``nodes.Node`` (a primitive that has a ``_name``
    sibling needs one); ``resource`` the nearest resource around it, ``root_resource`` the outermost. ``memo`` is a dict
    that calls on the same resource may share, so that what depends on the resource alone is worked out once: without
    it, ``%rootResource.contained`` is walked for every reference. An invariant that cannot be evaluated does not hold.
    Raises FhirPathSyntaxError, Unsupported, or EvaluationError for a type that R4 does not have.
    """
    step = compile_step(expression, invariant=True)
    generated = None if table(type_name).primitive else generate(parse(expression), type_name)

    def holds(
        node: Json, resource: dict[str, Any], root_resource: dict[str, Any], memo: dict[Any, Any] | None = None
    ) -> bool:
        known = {} if memo is None else memo
        try:
            if generated is not None and type(node) is dict:
                try:
                    return generated(node, resource, root_resource, known)
                except (TypeError, AttributeError, KeyError):
                    pass  # The structure is not valid, which generated source relies on; the closure takes anything.
            focus = node if isinstance(node, Node) else root(node, type_name)
            return boolean(run(step, focus, resource, root_resource, memo=known, budget=TRUSTED_BUDGET)) is True
        except EvaluationError:
            return False

    return holds


@lru_cache(maxsize=1024)
def elements_named(expression: str) -> frozenset[str]:
    """The elements of the focus that the expression starts from, without [x]; ``*`` among them if it may see any.

    ``start <= end`` gives {"start", "end"}; ``descendants().linkId`` gives {"*"}. Where none of them is present the
    result is always the same.
    """
    names: set[str] = set()
    _collect(parse(expression), names)
    return frozenset(names)


def _collect(node: ast.Node, names: set[str]) -> None:
    match node:
        case ast.Member(source=None, name=name):
            names.add("*" if name[:1].isupper() else name)
        case ast.Member(source=ast.Member(source=None, name=outer), name=name) if outer[:1].isupper():
            names.add(name)
        case ast.Special() | ast.Variable():
            names.update(("*",) if node in (ast.Special("this"), ast.Variable("context")) else ())
        case ast.Function(source=source) if source is not None and node.name in _SCOPED:
            # The brackets see the items of the source, so only what the source starts from counts.
            _collect(source, names)
            if any(isinstance(below, ast.Variable) and below.name == "context" for below in node.walk()):
                names.add("*")
        case ast.Function(source=None):
            names.add("*")
        case _:
            for child in node.children():
                _collect(child, names)


_SCOPED = frozenset(("where", "select", "repeat", "exists", "all", "aggregate", "iif", "trace"))
