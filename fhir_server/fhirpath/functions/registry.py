"""How functions are declared, so that a new one is one definition in one place. https://hl7.org/fhirpath/N1/#functions"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.evaluation import Step
from fhir_server.fhirpath.nodes import Item


@dataclass(frozen=True, slots=True)
class Call:
    """A function call to be compiled.

    ``source`` gives the input collection. ``arguments`` are compiled; those of a loop such as where() are run once for
    each item with the item as focus, others with the focus of the whole expression. ``nodes`` are their syntax trees.
    ``invariant`` is true inside an invariant of the specification.
    """

    source: Step
    arguments: tuple[Step, ...]
    nodes: tuple[ast.Node, ...]
    invariant: bool


Builder = Callable[[Call], Step]
Collective = Callable[..., list[Item]]


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A function with the number of arguments that it takes; ``loops``: its arguments see the items, not the focus."""

    build: Builder
    least: int
    most: int
    loops: bool = False


FUNCTIONS: dict[str, FunctionDefinition] = {}


def function(
    name: str, least: int = 0, most: int | None = None, *, loops: bool = False
) -> Callable[[Builder], Builder]:
    """Declare a function by its builder, which is given the Call and returns the compiled step."""

    def declare(build: Builder) -> Builder:
        FUNCTIONS[name] = FunctionDefinition(build, least, least if most is None else most, loops)
        return build

    return declare


def plain(name: str, least: int = 0, most: int | None = None) -> Callable[[Collective], Collective]:
    """Declare a function that works on whole collections: first its input, then each argument's value."""

    def declare(run: Collective) -> Collective:
        def build(call: Call) -> Step:
            source, arguments = call.source, call.arguments
            if not arguments:
                return lambda focus, context: run(source(focus, context))
            if len(arguments) == 1:
                only = arguments[0]
                return lambda focus, context: run(source(focus, context), only(focus, context))
            return lambda focus, context: run(source(focus, context), *(a(focus, context) for a in arguments))

        FUNCTIONS[name] = FunctionDefinition(build, least, least if most is None else most)
        return run

    return declare
