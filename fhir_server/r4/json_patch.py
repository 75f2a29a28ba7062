"""JSON Patch on resources. https://www.rfc-editor.org/rfc/rfc6902 and https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fhir_server.errors import BadRequest, Invalid, TooLarge
from fhir_server.r4 import json
from fhir_server.r4.json import Json
from fhir_server.r4.pruning import prune

MAX_OPERATIONS = 1_000
MAX_DEPTH = 100
"""Steps of a JSON pointer, and levels of a value."""

MAX_COPIED = 16_000_000
"""What all operations of a patch together may put in: a character counts 1, a value 32, which is what they cost.

A copy of a copy of a copy grows fast."""

_VALUE = 32

_OPERATIONS = frozenset(("add", "remove", "replace", "move", "copy", "test"))
_END = "-"
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")


class PatchTestFailed(Invalid):
    """A ``test`` operation found another value than it names."""


@dataclass(slots=True)
class _Operation:
    """One operation, read and checked. ``path`` and ``source`` are the pointers' reference tokens, unescaped."""

    number: int
    op: str
    path: list[str]
    source: list[str]
    value: Json

    def fail(self, problem: str, pointer: list[str]) -> Invalid:
        return Invalid(f"Operation {self.number} ({self.op}): {_written(pointer)} {problem}", code="processing")


def patch_resource(resource: dict[str, Json], operations: Json) -> dict[str, Json]:
    """Apply a JSON Patch to a resource, and give the patched one; ``resource`` stays as it is.

    ``operations`` is the parsed body: an array of operations. Arrays and objects that come out empty are taken out, as
    FHIR has none. Raises BadRequest for what is no JSON Patch, naming the operation by its index; Invalid for one that
    does not fit the resource, or that changes its type or id; PatchTestFailed; TooLarge.
    """
    patched = apply_patch(resource, operations)
    if not isinstance(patched, dict):
        raise Invalid("The patch replaces the resource by something that is no JSON object", code="processing")
    for name in ("resourceType", "id"):
        if patched.get(name) != resource.get(name):
            raise Invalid(f"A patch cannot change {name}", expression=name, code="processing")
    try:
        return prune(patched)
    except RecursionError:
        raise BadRequest("The patched resource is nested too deeply") from None


def apply_patch(document: Json, operations: Json) -> Json:
    """Apply the operations as RFC 6902 says, one after the other, on a copy: all of them or, on an error, none.

    https://www.rfc-editor.org/rfc/rfc6902#section-4. Raises as ``patch_resource``. Beyond the RFC, a null may stand in
    an array only: FHIR's JSON has no other.
    """
    steps = [_read(number, operation) for number, operation in enumerate(_checked_list(operations))]
    return _Patch(json.parse(json.dumps(document))).run(steps)


def _checked_list(operations: Json) -> list[Json]:
    if not isinstance(operations, list):
        raise BadRequest("A JSON Patch is an array of operations")
    if len(operations) > MAX_OPERATIONS:
        raise TooLarge(f"A JSON Patch may have {MAX_OPERATIONS} operations; this one has {len(operations)}")
    return operations


def _read(number: int, operation: Json) -> _Operation:
    if not isinstance(operation, dict):
        raise BadRequest(f"Operation {number} is no JSON object")
    op = operation.get("op")
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise BadRequest(f"Operation {number} needs an op, one of {', '.join(sorted(_OPERATIONS))}")
    source = _pointer(number, operation, "from") if op in ("move", "copy") else []
    if op in ("add", "replace", "test") and "value" not in operation:
        raise BadRequest(f"Operation {number} ({op}) needs a value")
    return _Operation(number, op, _pointer(number, operation, "path"), source, operation.get("value"))


def _pointer(number: int, operation: dict[str, Json], name: str) -> list[str]:
    """The reference tokens of a JSON pointer. https://www.rfc-editor.org/rfc/rfc6901"""
    text = operation.get(name)
    if not isinstance(text, str):
        raise BadRequest(
            f"Operation {number} ({operation['op']}) needs a {name}, a JSON pointer such as /name/0/family"
        )
    if (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
        raise BadRequest(f"Operation {number}: {name} is no JSON pointer; it begins with / and writes ~ as ~0, / as ~1")
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]
    if len(tokens) > MAX_DEPTH:
        raise BadRequest(f"Operation {number}: {name} has more than {MAX_DEPTH} steps")
    return tokens


def _written(pointer: list[str]) -> str:
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in pointer)[:200] or "the resource"


class _Patch:
    def __init__(self, document: Json) -> None:
        self.document = document
        self.budget = MAX_COPIED

    def run(self, steps: list[_Operation]) -> Json:
        for step in steps:
            match step.op:
                case "add":
                    self.put(step, self.clone(step, step.value))
                case "replace":
                    self.replace(step)
                case "remove":
                    self.take(step, step.path)
                case "move":
                    self.move(step)
                case "copy":
                    self.put(step, self.clone(step, self.find(step, step.source)))
                case _:
                    if not same(self.find(step, step.path), step.value):
                        raise PatchTestFailed(
                            f"Operation {step.number} (test): {_written(step.path)} has another value",
                            code="processing",
                        )
        return self.document

    def clone(self, step: _Operation, value: Json, depth: int = 0) -> Json:
        if depth > MAX_DEPTH:
            raise BadRequest(f"Operation {step.number}: the value is nested more than {MAX_DEPTH} levels")
        self.budget -= _VALUE + (len(value) if isinstance(value, str) else 0)
        if self.budget < 0:
            raise TooLarge(
                f"The patch puts in more than {MAX_COPIED} characters, or {MAX_COPIED // _VALUE} values; use PUT"
            )
        if isinstance(value, dict):
            if None in value.values():
                raise BadRequest(f"Operation {step.number}: a null may stand in an array only; leave the member out")
            return {name: self.clone(step, member, depth + 1) for name, member in value.items()}
        if isinstance(value, list):
            return [self.clone(step, member, depth + 1) for member in value]
        return value

    def find(self, step: _Operation, pointer: list[str]) -> Json:
        value = self.document
        for at, token in enumerate(pointer):
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list):
                value = value[self.index(step, value, token, pointer[: at + 1])]
            else:
                raise step.fail("does not exist", pointer[: at + 1])
        return value

    def index(self, step: _Operation, items: list[Json], token: str, pointer: list[str], *, end: bool = False) -> int:
        if end and token == _END:
            return len(items)
        if not _INDEX.fullmatch(token):
            raise step.fail("needs a position in an array: 0, 1, 2 ...", pointer)
        index = int(token)
        if index >= len(items) + end:
            raise step.fail(f"does not exist: the array has {len(items)}", pointer)
        return index

    def put(self, step: _Operation, value: Json) -> None:
        if not step.path:
            self.document = value
            return
        *parents, token = step.path
        container = self.find(step, parents)
        if isinstance(container, list):
            container.insert(self.index(step, container, token, step.path, end=True), value)
        elif not isinstance(container, dict):
            raise step.fail("is neither an object nor an array", parents)
        elif value is None:
            raise BadRequest(f"Operation {step.number} ({step.op}): a null may stand in an array only; use remove")
        else:
            container[token] = value

    def replace(self, step: _Operation) -> None:
        self.find(step, step.path)
        value = self.clone(step, step.value)
        if step.path and isinstance(container := self.find(step, step.path[:-1]), list):
            container[int(step.path[-1])] = value
        else:
            self.put(step, value)

    def take(self, step: _Operation, pointer: list[str]) -> Json:
        value = self.find(step, pointer)
        if not pointer:
            raise BadRequest(f"Operation {step.number} ({step.op}): the resource as a whole cannot be removed")
        container = self.find(step, pointer[:-1])
        del container[int(pointer[-1]) if isinstance(container, list) else pointer[-1]]
        return value

    def move(self, step: _Operation) -> None:
        if step.path == step.source:
            self.find(step, step.path)
        elif step.path[: len(step.source)] == step.source:
            raise BadRequest(f"Operation {step.number} (move): {_written(step.source)} cannot move into itself")
        else:
            self.put(step, self.take(step, step.source))


def same(left: Json, right: Json) -> bool:
    """Equality of JSON: numbers by value, objects in any order, true is not 1.

    https://www.rfc-editor.org/rfc/rfc6902#section-4.6
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)
