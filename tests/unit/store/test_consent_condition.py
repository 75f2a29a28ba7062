"""Consents decided in SQL and in memory: the same for any rules, any resource, anybody. docs/care.md"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.access.consents import Row, Rule, denied
from fhir_server.r4 import instants, json
from fhir_server.search.sql import SqlParameters
from fhir_server.store.consent_condition import denied as condition
from fhir_server.store.store import Store

NOW = 50
INSERT = """INSERT INTO consent_rule (tenant_id, patient, source, low, high, data_low, data_high, number, depth, permit,
                          types, tokens, labels, actors, resources)
SELECT %s, patient, source, low, high, data_low, data_high, number, depth, permit, types, tokens, labels, actors,
       resources
  FROM jsonb_populate_recordset(NULL::consent_rule, %s)"""
few = st.integers(0, 4)
some = st.none() | st.frozensets(few, min_size=1, max_size=3)
lows, highs = st.sampled_from([instants.MIN, 30, NOW, 60]), st.sampled_from([instants.MAX, 40, NOW, 70])
rules = st.lists(
    st.builds(
        Rule,
        st.integers(1, 3),
        st.integers(0, 3),
        st.booleans(),
        lows,
        highs,
        lows,
        highs,
        some,
        some,
        some,
        some,
        some,
    ),
    max_size=6,
)
dates = st.none() | st.tuples(st.integers(20, 80), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair)))
asked = st.tuples(few, few, st.frozensets(few), dates, st.frozensets(few))


def as_json(found: list[Rule]) -> str:
    rows: list[dict[str, Any]] = []
    for number, rule in enumerate(found):
        row = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in rule._asdict().items()}
        rows.append({"patient": 9, "number": number, **row})
    return json.dumps(rows).decode()


@given(rules, st.lists(asked, min_size=1, max_size=12))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_agree(store: Store, found: list[Rule], many: list[Any]) -> None:
    rows = [Row(kind, key, tokens, *(when or (None, None))) for kind, key, tokens, when, _ in many]
    expected = [denied(found, row, one[4], NOW) for row, one in zip(rows, many, strict=True)]

    sql = SqlParameters(store.tenant_id)
    withheld = condition(sql, "r", "r.persons", sql.bind(NOW, "bigint"))
    given_rows = [
        {
            "patient": 9, "type_id": row.type_id, "key": row.key, "tokens": sorted(row.tokens),
            "date_low": row.date_low, "date_high": row.date_high, "persons": sorted(one[4]), "n": number,
        }
        for number, (row, one) in enumerate(zip(rows, many, strict=True))
    ]  # fmt: skip
    columns = (
        "n int, patient bigint, type_id smallint, key bigint, tokens bigint[], date_low bigint, date_high bigint,"
        " persons bigint[]"
    )
    given_json = sql.bind(json.dumps(given_rows).decode(), "jsonb")
    asking = f"SELECT array_agg({withheld} ORDER BY r.n)::text FROM jsonb_to_recordset({given_json}) AS r({columns})"  # noqa: S608

    def work(inner: Store) -> bytes | None:
        inner.within(lambda c: c.execute("DELETE FROM consent_rule"))
        inner.within(lambda c: c.execute(INSERT, [inner.tenant_id, as_json(found)]))
        return inner.search(asking, sql.values).get_value(0, 0)

    answer = store.transaction(work)
    assert answer == ("{" + ",".join("t" if one else "f" for one in expected) + "}").encode()
