"""Which messages of HL7 v2 wait, and whom each is about. docs/decisions/0018-messages-in-order.md"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from psycopg import pq

from fhir_server.crypto.hashing import param_id
from fhir_server.store.wire import Statement

# A message names patients by numbers. Two that share none may be about one Patient all the same: who has both numbers,
# or was merged. Patients are found as delivery finds them (hl7_gateway/delivery/resolve.py): by identifier, by the id
# that is made for one, and from who was merged away to whom they live on as. OFFSET 0 has each looked up by its index,
# however few rows a table had when the statement was planned.
_WAITING: Final = f"""
WITH RECURSIVE head AS MATERIALIZED (
    SELECT q.message_id, q.patients, q.tokens, q.keys FROM hl7_queue q
     WHERE q.tenant_id = $1::int AND NOT q.feed_id = ANY($2::int[]) ORDER BY q.message_id LIMIT $3::int
), known (message_id, rid) AS (
    (SELECT h.message_id, t.rid
       FROM head h, unnest(h.tokens) x(hash), LATERAL (
            SELECT i.rid FROM idx_token i WHERE i.tenant_id = $1::int AND i.hash = x.hash OFFSET 0) t
     UNION ALL
     SELECT h.message_id, t.rid
       FROM head h, unnest(h.keys) x(key), LATERAL (
            SELECT r.rid FROM resource r WHERE r.tenant_id = $1::int AND r.key = x.key OFFSET 0) t)
    UNION
    SELECT k.message_id, o.rid
      FROM known k, LATERAL (
           SELECT i.target FROM idx_reference i
            WHERE i.tenant_id = $1::int AND i.rid = k.rid AND i.param = {param_id("Patient.link")}
           OFFSET 0) i, LATERAL (
           SELECT s.rid FROM resource r JOIN resource s ON s.tenant_id = $1::int AND s.key = i.target
            WHERE r.tenant_id = $1::int AND r.rid = k.rid
              AND r.body @> jsonb_build_object('active', false, 'link', jsonb_build_array(jsonb_build_object(
                  'type', 'replaced-by', 'other', jsonb_build_object('reference', 'Patient/' || s.id)))) OFFSET 0) o
)
SELECT n.message_id, array_agg(n.name) FILTER (WHERE n.name IS NOT NULL)
  FROM (SELECT h.message_id, NULL::bigint AS name FROM head h
        UNION ALL SELECT h.message_id, p FROM head h, unnest(h.patients) p
        UNION ALL SELECT k.message_id, r.key FROM known k, LATERAL (
            SELECT r.key FROM resource r WHERE r.tenant_id = $1::int AND r.rid = k.rid OFFSET 0) r) n
 GROUP BY n.message_id ORDER BY n.message_id
"""

WAITING: Final = Statement("hl7_queue_head", _WAITING)
"""The oldest messages of a tenant ($1) that are of no paused feed ($2), so many ($3): number, and hashes of patients.

Of two messages of one patient the hashes meet: those of the numbers that they name, and the keys of the Patients who
have these numbers, or live on for who had.
"""


class Head:
    """The oldest messages that wait, with whom each is about, as WAITING has told."""

    def __init__(self, result: pq.abc.PGresult) -> None:
        get = result.get_value
        self._rows = [
            (int(get(row, 0) or 0), (get(row, 1) or b"{}")[1:-1].split(b",") if get(row, 1) else ())
            for row in range(result.ntuples)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def free(self) -> list[int]:
        """Those that none before them keeps waiting."""
        held: set[bytes] = set()
        free = []
        for number, names in self._rows:
            if held.isdisjoint(names):
                free.append(number)
            held.update(names)
        return free

    def behind(self, taken: Collection[int], free: Collection[int], most: int) -> list[int]:
        """The first messages, so many at most, that only those ``taken`` (of those that were ``free``) and others of
        themselves keep waiting: whoever has the first messages of a patient may go on with the next ones.

        A message that names two patients may make one of them, as a merge does: of all that it names nothing goes on
        once something of it has to wait.
        """
        one: dict[bytes, set[bytes]] = {}
        held: set[bytes] = set()
        found: list[int] = []
        for number, names in self._rows:
            same = set(names)
            for name in names:
                same |= one.get(name, same)
            if number in taken:
                goes = True
            else:
                goes = number not in free and len(found) < most and held.isdisjoint(same)
                if goes:
                    found.append(number)
            if goes:
                one.update(dict.fromkeys(same, same))
            else:
                held |= same
        return found
