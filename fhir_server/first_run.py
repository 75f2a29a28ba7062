"""What happens once in the life of a demo database: two clinics with patients to look at. docs/architecture.md"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import psycopg

from fhir_server.store import statistics, tenants

STEP = "demo clinics"

Bundle = dict[str, Any]
Load = Callable[[str, Bundle], None]
"""Commits a transaction Bundle for the tenant of that slug, through the same interactions as a client's."""


def seed_demo_clinics(
    connection: psycopg.Connection,
    clinics: Mapping[str, str],
    bundles: Callable[[str, date], Iterable[Bundle]],
    loader: Callable[[], AbstractContextManager[Load]],
    report: Callable[[str], None],
    today: date,
) -> None:
    """Create the demo clinics and load their patients, unless this database has seen that or has clinics of its own.

    ``connection`` is the owner's; ``clinics`` maps slug to name; ``bundles`` gives a clinic's transactions, which put
    resources at fixed ids, so that a run that was cut short can be repeated; ``report`` takes lines of progress.
    """
    if tenants.is_done(connection, STEP):
        return
    strangers = {tenant.slug for tenant in tenants.listed(connection)} - set(clinics)
    if not strangers:
        with loader() as load:
            for slug, name in clinics.items():
                if tenants.find(connection, slug) is None:
                    tenants.create(connection, slug, name)
                _load_clinic(slug, name, bundles(slug, today), load, report)
        statistics.refresh(connection)
    tenants.mark_done(connection, STEP)


def _load_clinic(slug: str, name: str, bundles: Iterable[Bundle], load: Load, report: Callable[[str], None]) -> None:
    counts: Counter[str] = Counter()
    for bundle in bundles:
        load(slug, bundle)
        counts.update(entry["resource"]["resourceType"] for entry in bundle["entry"])
    shown = ", ".join(f"{number} {kind}" for kind, number in counts.most_common(6))
    report(f"Demo clinic {slug} ({name}): {counts.total()} resources: {shown} ...")
