"""fhir_server/store/word_rows.py and migrations/versions/0005_words.sql, against a real PostgreSQL"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.store import searching, word_rows
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows, Words
from fhir_server.store.migrate import MIGRATIONS, migrate, sqlalchemy_url
from fhir_server.store.resources import TYPE_IDS, Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store

PHRASE = Words({(77, 1): 0}, {77: ((5, 600), (6, 500))})


def write(resource_id: str, words: Words | None, *, resource_type: str = "Basic", method: str = "PUT") -> Write:
    body = None if method == "DELETE" else b"{}"
    return Write(resource_type, resource_id, method, None, None, body, IndexRows(words=words))


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    result = store.search(query, [store.tenant_id])
    return [tuple(int(result.get_value(r, c) or 0) for c in range(result.nfields)) for r in range(result.ntuples)]


def phrases(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT phrase, word, weight FROM idx_phrase WHERE tenant_id = $1 ORDER BY 1, 2")


def complete(store: Store, resource_type: str = "Basic") -> bool:
    try:
        rows(store, f"SELECT 1 WHERE $1 > 0 AND fhir_words_complete($1, {TYPE_IDS[resource_type]}::smallint)")
    except BadRequest as refused:
        if str(refused) != searching.INCOMPLETE:
            raise
        return False
    return True


def test_a_phrase_is_written_once_for_each_tenant(new_store: Callable[[], Store]) -> None:
    for store in (new_store(), new_store()):
        for n in range(3):
            store.put(write(f"a{n}", PHRASE))
        store.create_many([write(f"b{n}", PHRASE, method="POST") for n in range(3)], fresh=True)
        assert phrases(store) == [(77, 5, 600), (77, 6, 500)]
        store.put(write("a0", None, method="DELETE"))
        assert phrases(store) == [(77, 5, 600), (77, 6, 500)]
        assert len(rows(store, "SELECT rid FROM idx_word WHERE tenant_id = $1")) == 5


def test_a_phrase_that_was_undone_is_written_by_the_next(new_store: Callable[[], Store]) -> None:
    store = new_store()

    def undone(inner: Store) -> None:
        inner.put(write("a", PHRASE))
        inner.put(write("b", PHRASE))
        raise KeyError("undone")

    for _ in range(20):
        with pytest.raises(KeyError):
            store.transaction(undone)
    assert phrases(store) == []
    store.put(write("c", PHRASE))
    assert phrases(store) == [(77, 5, 600), (77, 6, 500)]


def test_a_refused_write_remembers_no_phrase(new_store: Callable[[], Store]) -> None:
    store = new_store()
    store.put(write("a", Words()))
    refused = Write("Basic", "a", "PUT", 7, None, b"{}", IndexRows(words=PHRASE))
    for _ in range(20):
        assert store.put(refused).status == "conflict"
    assert phrases(store) == []
    for n in range(20):
        store.put(write(f"b{n}", PHRASE))
    assert phrases(store) == [(77, 5, 600), (77, 6, 500)]


@pytest.mark.parametrize("many", [False, True])
def test_a_resource_without_words_makes_its_type_incomplete(new_store: Callable[[], Store], many: bool) -> None:
    store, other = new_store(), new_store()
    store.put(write("a", PHRASE))
    assert complete(store)
    for n in range(3):
        if many:
            store.create_many([write(f"b{n}", None, method="POST"), write(f"c{n}", PHRASE)], fresh=True)
        else:
            store.put(write("a", None))
    assert not complete(store)
    assert complete(store, "Patient")
    assert complete(other)
    assert len(rows(store, "SELECT type_id FROM word_gap WHERE tenant_id = $1")) == 1
    assert len(rows(store, "SELECT rid FROM idx_word WHERE tenant_id = $1")) == (4 if many else 0)


def test_deleting_makes_nothing_incomplete(new_store: Callable[[], Store]) -> None:
    store = new_store()
    store.put(write("a", PHRASE))
    store.put(write("a", None, method="DELETE"))
    assert complete(store)


def test_filling_a_gap(new_store: Callable[[], Store]) -> None:
    store = new_store()

    def begin(run: str) -> None:
        store.within(lambda c: word_rows.begin_filling(c, store.tenant_id, ["Basic", "Patient"], run))

    def finish(run: str) -> None:
        store.within(lambda c: word_rows.finish_filling(c, store.tenant_id, run))

    store.put(write("a", None))
    store.put(write("a", None, resource_type="Group"))
    begin("one")
    assert not complete(store)
    begin("two")
    finish("one")
    assert not complete(store), "another run has begun since"
    finish("two")
    assert complete(store)
    assert not complete(store, "Group")
    store.put(write("a", None))
    begin("three")
    store.put(write("b", None))
    finish("three")
    assert not complete(store), "one was written without words meanwhile"
    begin("four")
    finish("four")
    assert complete(store)


def test_what_is_there_before_words_are_known_is_incomplete(empty_database: DatabaseUrls) -> None:
    assert empty_database.owner is not None
    engine = create_engine(sqlalchemy_url(empty_database.owner))
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.commit()
    engine.dispose()
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        full, empty = (
            owner.execute("INSERT INTO tenant (slug, name) VALUES (%s, %s) RETURNING id", [name, name]).fetchone()
            for name in ("full", "empty")
        )
        assert full is not None
        assert empty is not None
        owner.execute("SELECT set_config('fhir.tenant', %s, false)", [str(full[0])])
        for key, name, deleted in ((1, "Patient", False), (2, "Group", True)):
            owner.execute(
                "INSERT INTO resource (tenant_id, version, key, last_updated, type_id, deleted, id, method, tokens,"
                " params, body) VALUES (%s, 1, %s, 1, %s, %s, 'a', 'PUT', '{}', '{}', '{}')",
                [full[0], key, TYPE_IDS[name], deleted],
            )
    migrate(empty_database.owner)
    database = Database(empty_database.app, 2)
    database.open()
    stores = [Store(database, Hasher(b"k" * 32), number) for number in (full[0], empty[0])]
    assert [complete(store, name) for store in stores for name in ("Patient", "Group")] == [False, True, True, True]
    database.close()
