"""A run that makes an index anew, as parameters of an answer. docs/search-parameters.md"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fhir_server.store.reindex_runs import Run


def run_parts(run: Run) -> list[dict[str, Any]]:
    """Its state, how many resources are done of how many, and its times; ``eta`` is when it may be finished."""
    found: list[dict[str, Any]] = [
        {"name": "id", "valueString": run.id},
        {"name": "reason", "valueCode": run.reason},
        {"name": "state", "valueCode": run.state},
        *({"name": "type", "valueCode": name} for name in run.types),
        {"name": "done", "valueDecimal": run.done},
        {"name": "total", "valueDecimal": run.total},
    ]
    times = (("started", run.started), ("heartbeat", run.heartbeat), ("eta", run.eta), ("finished", run.finished))
    found += [{"name": name, "valueInstant": _instant(moment)} for name, moment in times if moment is not None]
    if run.error:
        found.append({"name": "error", "valueString": run.error})
    return found


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
