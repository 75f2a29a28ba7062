"""Which parts of an expression depend on the resource alone, so that a loop need not work them out for each item.
http://hl7.org/fhirpath/N1/"""

from __future__ import annotations

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.functions import FUNCTIONS

_CONTEXT = ast.Variable("context")


class Constants:
    """Answers for the nodes of one syntax tree, each worked out once; the tree must outlive it."""

    def __init__(self) -> None:
        self._constant: dict[int, bool] = {}
        self._reads_resource: dict[int, bool] = {}

    def is_costly(self, node: ast.Node) -> bool:
        """Whether the value is the same for each item and takes a look at the resource to find."""
        return not isinstance(node, ast.Variable) and self.is_constant(node) and self.reads_resource(node)

    def is_constant(self, node: ast.Node) -> bool:
        """Whether the value depends on the resource alone, not on $this, $index, $total or %context."""
        known = self._constant.get(id(node))
        if known is None:
            known = self._constant[id(node)] = self._is_constant(node)
        return known

    def reads_resource(self, node: ast.Node) -> bool:
        """Whether %resource or %rootResource stands in it."""
        known = self._reads_resource.get(id(node))
        if known is None:
            own = isinstance(node, ast.Variable) and node.name in ("resource", "rootResource")
            known = self._reads_resource[id(node)] = own or any(map(self.reads_resource, node.children()))
        return known

    def _is_constant(self, node: ast.Node) -> bool:
        match node:
            case ast.Special() | ast.Member(source=None) | ast.Function(source=None) | ast.Variable(name="context"):
                return False
            case ast.Function(source=ast.Node() as source) if _loops(node):
                # What stands in the brackets sees the items, but might still use an outer $index or $total.
                return self.is_constant(source) and not any(map(_escapes, node.arguments))
            case _:
                return all(map(self.is_constant, node.children()))


def _loops(node: ast.Function) -> bool:
    definition = FUNCTIONS.get(node.name)
    return definition is not None and definition.loops


def _escapes(argument: ast.Node) -> bool:
    return any((isinstance(n, ast.Special) and n.name != "this") or n == _CONTEXT for n in argument.walk())
