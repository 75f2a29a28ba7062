"""The operations there are: one file each, one line each here. https://hl7.org/fhir/R4/operations.html"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.errors import MethodNotAllowed, NotFound
from fhir_server.operations import (
    access,
    accounting,
    assign,
    assignments,
    break_glass,
    break_glass_acknowledge,
    break_glass_alerts,
    everything,
    explain,
    graphql,
    lastn,
    lineage,
    parameter_status,
    reindex,
    reindex_status,
    unassign,
    validate,
)
from fhir_server.operations.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    access.OPERATION,
    accounting.OPERATION,
    assign.OPERATION,
    assignments.OPERATION,
    break_glass.OPERATION,
    break_glass_acknowledge.OPERATION,
    break_glass_alerts.OPERATION,
    everything.OPERATION,
    explain.OPERATION,
    graphql.OPERATION,
    lastn.OPERATION,
    lineage.OPERATION,
    reindex.OPERATION,
    reindex_status.OPERATION,
    parameter_status.OPERATION,
    unassign.OPERATION,
    validate.OPERATION,
)

_BY_NAME = {operation.name: operation for operation in OPERATIONS}


def find(name: str, scope: Sequence[str]) -> Operation:
    """The operation of this name at this level: ``scope`` is [], [type] or [type, id].

    Raises NotFound for an unknown name or a type that does not have it, MethodNotAllowed where it exists at other
    levels only.
    """
    operation = _BY_NAME.get(name)
    if operation is None:
        known = ", ".join(f"${n}" for n in sorted(_BY_NAME))
        raise NotFound(f"The operation ${name[:64]} is not known; there are: {known}.", code="not-supported")
    if scope and operation.types and scope[0] not in operation.types:
        raise NotFound(f"${name} exists for {' and '.join(operation.types)}, not for {scope[0]}.", code="not-supported")
    level = ("system", "type", "instance")[len(scope)]
    if level not in operation.levels:
        raise MethodNotAllowed(f"${name} exists at the level of {' and '.join(operation.levels)}, not of the {level}.")
    return operation
