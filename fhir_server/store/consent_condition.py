"""Whether a consent withholds a row, in SQL. The same in memory: access/consents.py. docs/care.md"""

from __future__ import annotations

from typing import Protocol

from fhir_server.r4 import definitions, instants

_ANY_TIME = f"k.data_low = '{instants.MIN}'::bigint AND k.data_high = '{instants.MAX}'::bigint"


class Binder(Protocol):
    """Where a statement's values go."""

    @property
    def tenant(self) -> str:
        """The placeholder of the tenant."""


def denied(sql: Binder, row: str, persons: str, now: str) -> str:
    """The condition that a consent of the row's patient withholds it.

    ``row`` is an alias with the columns type_id, key, patient, tokens, date_low and date_high of ``resource``;
    ``persons`` is SQL of the keys of whoever asks, as a bigint[]; ``now`` of the present in microseconds since 1970
    UTC.

    Of the rules of one consent that match, the deepest counts, and of those the one that denies. Consents themselves
    are never withheld.
    """
    matching = (
        f"k.tenant_id = {sql.tenant} AND k.patient = {row}.patient AND k.low <= {now} AND k.high > {now} "
        f"AND (k.types IS NULL OR {row}.type_id = ANY(k.types)) AND (k.tokens IS NULL OR k.tokens && {row}.tokens) "
        f"AND (k.labels IS NULL OR k.labels && {row}.tokens) AND (k.actors IS NULL OR k.actors && {persons}) "
        f"AND (k.resources IS NULL OR {row}.key = ANY(k.resources)) AND ({_ANY_TIME} "
        f"OR coalesce({row}.date_low < k.data_high AND {row}.date_high > k.data_low, NOT k.permit))"
    )
    deepest = (
        f"SELECT DISTINCT ON (k.source) k.permit FROM consent_rule k WHERE {matching} "
        "ORDER BY k.source, k.depth DESC, k.permit"
    )
    other = f"{row}.type_id <> {definitions.load().type_ids['Consent']}"
    return f"({other} AND EXISTS (SELECT FROM ({deepest}) w WHERE NOT w.permit OFFSET 0))"
