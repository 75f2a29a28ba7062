"""The arguments by which the store's functions write the words of resources. migrations/versions/0005_words.sql,
docs/decisions/0010-full-text.md"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import psycopg
from psycopg.pq import TransactionStatus

from fhir_server.store.index_rows import Words
from fhir_server.store.wire import Argument, array

_MOST_KNOWN = 50_000

_NO_WORDS = (b"{}", b"{}", b"{}", None, None, None, None)
_WRITTEN_WITHOUT = (None,) * 7


def of_one(words: Words | None, known: Collection[int], *, deleted: bool) -> Sequence[Argument]:
    """The seven arguments of fhir_words that say what the words are; ``words`` None: it is written without them.

    The words of ``known`` phrases need not be sent: see `known_phrases`.
    """
    if deleted:
        return _NO_WORDS
    if words is None:
        return _WRITTEN_WITHOUT
    rows = words.rows
    new = {phrase: found for phrase, found in words.phrases.items() if phrase not in known}
    return (array(h for h, _ in rows), array(p for _, p in rows), array(rows.values()), *_phrases(new))


def known_phrases(connection: psycopg.Connection, tenant_id: int) -> set[int]:
    """The phrases of a tenant that this connection has seen committed; phrases are never deleted.

    Kept with the connection, so that it holds for its database.
    """
    known: dict[int, set[int]] | None = getattr(connection, "_fhir_phrases", None)
    if known is None or sum(map(len, known.values())) > _MOST_KNOWN:
        known = {}
        connection._fhir_phrases = known  # type: ignore[attr-defined]
    return known.setdefault(tenant_id, set())


def note_phrases(connection: psycopg.Connection, known: set[int], words: Words | None) -> None:
    """Remember the phrases of what was just written, if that is committed: a transaction may yet be undone."""
    if words is not None and connection.pgconn.transaction_status == TransactionStatus.IDLE:
        known.update(words.phrases)


def of_many(words: Sequence[tuple[int, Words | None]]) -> Sequence[Argument]:
    """The nine arguments of fhir_words_many after the keys; ``words`` has the type_id of each resource as well."""
    missing = sorted({type_id for type_id, one in words if one is None})
    given = [(number, one) for number, (_, one) in enumerate(words, start=1) if one is not None and one.rows]
    columns: Sequence[Argument] = (None,) * 4
    phrases: dict[int, tuple[tuple[int, int], ...]] = {}
    if given:
        flat = [(number, *key, weight) for number, one in given for key, weight in one.rows.items()]
        columns = [array(column) for column in zip(*flat, strict=True)]
        for _, one in given:
            phrases.update(one.phrases)
    return (array(missing) if missing else None, *columns, *_phrases(phrases))


def _phrases(phrases: dict[int, tuple[tuple[int, int], ...]]) -> Sequence[Argument]:
    if not phrases:
        return (None,) * 4
    flat = [(phrase, word, weight) for phrase, found in phrases.items() for word, weight in found]
    return (array(phrases), *(array(column) for column in zip(*flat, strict=True)))


def begin_filling(connection: psycopg.Connection, tenant_id: int, types: Sequence[str], run: str) -> None:
    """Say that the run is going to write the words of every resource of the types anew, in a transaction of the tenant.

    To be committed before every transaction that began earlier has been waited for; what is written without words from
    then on counts again.
    """
    connection.execute(
        "UPDATE word_gap SET closing = %s WHERE tenant_id = %s AND type_id IN"
        " (SELECT t.id FROM resource_type t WHERE t.name = ANY(%s))",
        [run, tenant_id, list(types)],
    )


def finish_filling(connection: psycopg.Connection, tenant_id: int, run: str) -> None:
    """Say that the run has done so: full-text searches are answered, unless more was written without words since."""
    connection.execute("DELETE FROM word_gap WHERE tenant_id = %s AND closing = %s", [tenant_id, run])
