"""Messages of one patient keep their order whatever numbers they name the patient by.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from fhir_server.access.policy import Access
from fhir_server.errors import Unavailable
from fhir_server.interactions.context import Context
from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.interactions.write import prepare
from fhir_server.r4 import json
from fhir_server.store import hl7_messages
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway import worker as worker_module
from hl7_gateway.deliver import feed_principal
from tests.functional.hl7.ward import Ward


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant)


def adt(control_id: str, numbers: str, name: str = "SMITH", event: str = "A08", rest: str = "") -> bytes:
    """A message that names a patient by numbers such as "1~2" of the authority HOSP."""
    many = "~".join(f"{number}^^^HOSP^MR" for number in numbers.split("~"))
    header = f"MSH|^~\\&|ADT|HOSP|FHIR|CLINIC|20260101120000||ADT^{event}|{control_id}|P|2.5.1"
    return f"{header}\rEVN|{event}|20260101\rPID|1||{many}||{name}^ANNA||19610203|F\r{rest}".encode()


def merge(control_id: str, surviving: str, retired: str) -> bytes:
    return adt(control_id, surviving, event="A40", rest=f"MRG|{retired}^^^HOSP^MR\r")


def stored(ward: Ward, *raws: bytes) -> None:
    """Have messages stored, one after the other."""
    for raw in raws:
        ward.keep(raw)
        assert ward.work() == 1
    assert {one.state for one in ward.found()} == {"stored"}


def at_once(ward: Ward, *raws: bytes) -> list[list[str]]:
    """What transactions side by side take of messages that wait, none of which ends before the last has taken."""
    ward.keep(*raws)
    names = {one.id: one.control_id for one in ward.found()}

    def take(connection: psycopg.Connection, deep: int) -> list[list[str]]:
        taken = [names[one.id] for one in hl7_messages.take(connection, ward.tenant.id, [], 1)]
        if deep == 0:
            return [taken]
        return [taken, *ward.database.transaction(ward.tenant.id, lambda c: take(c, deep - 1))]

    return ward.database.transaction(ward.tenant.id, lambda c: take(c, len(raws) - 1))


def living(ward: Ward) -> list[dict[str, Any]]:
    """The patients who have not been merged away."""
    rows = ward.rows(
        "SELECT r.body FROM resource r JOIN resource_type t ON t.id = r.type_id"
        " WHERE t.name = 'Patient' AND NOT r.deleted"
    )
    return [body for (body,) in rows if body.get("active") is not False]


def test_of_two_strangers_messages_are_taken_side_by_side(ward: Ward) -> None:
    stored(ward, adt("1", "A"), adt("2", "B"))
    assert at_once(ward, adt("3", "A"), adt("4", "B")) == [["3"], ["4"]]


@pytest.mark.parametrize("first", ["old", "new"])
def test_one_who_was_merged_keeps_the_order(ward: Ward, first: str) -> None:
    stored(ward, adt("1", "old"), adt("2", "new"), merge("3", "new", "old"))
    second = {"old": "new", "new": "old"}[first]
    assert at_once(ward, adt("4", first), adt("5", second)) == [["4"], []]


def test_a_merge_keeps_the_order_while_it_waits_itself(ward: Ward) -> None:
    stored(ward, adt("1", "old"), adt("2", "new"))
    assert at_once(ward, merge("3", "new", "old"), adt("4", "old"), adt("5", "new")) == [["3"], [], []]


def test_who_was_merged_again_and_again_keeps_the_order(ward: Ward) -> None:
    chain = [merge(f"m{number}", str(number + 1), str(number)) for number in range(5)]
    stored(ward, *(adt(f"a{number}", str(number)) for number in range(6)), *chain)
    assert at_once(ward, adt("1", "0"), adt("2", "2"), adt("3", "5")) == [["1"], [], []]


def test_who_was_merged_into_the_same_patient_keeps_the_order(ward: Ward) -> None:
    stored(ward, merge("1", "new", "one"), merge("2", "new", "other"))
    assert at_once(ward, adt("3", "one"), adt("4", "other")) == [["3"], []]


def test_a_merge_the_other_way_round_keeps_the_order_too(ward: Ward) -> None:
    stored(ward, merge("1", "new", "old"), merge("2", "old", "new"))
    assert at_once(ward, adt("3", "new"), adt("4", "old")) == [["3"], []]


def test_a_patient_with_two_numbers_keeps_the_order(ward: Ward) -> None:
    stored(ward, adt("1", "A~B"))
    assert at_once(ward, adt("2", "A"), adt("3", "B")) == [["2"], []]


def test_a_message_between_two_numbers_keeps_them_in_order_while_it_waits(ward: Ward) -> None:
    assert at_once(ward, adt("1", "A"), adt("2", "A~B"), adt("3", "B")) == [["1"], [], []]


def put(ward: Ward, number: str, **more: Any) -> None:
    """Change the patient of a number as somebody does over REST."""
    (body,) = [one for one in living(ward) if any(said["value"] == number for said in one["identifier"])]
    sought = json.dumps(body).decode()
    (row,) = ward.rows(f"SELECT id, version FROM resource WHERE body = '{sought}'::jsonb")  # noqa: S608 - no quotes in it
    store = Store(ward.database, ward.hasher, ward.tenant.id)
    clinic = Clinic(ward.tenant.id, ward.tenant.slug)
    ctx = Context(clinic, feed_principal("lab", ward.tenant.slug), Access(()), store, "http://localhost")
    resource = {**body, "resourceType": "Patient", "id": row[0], **more}
    assert store.put(prepare(ctx, resource, row[0], "PUT", row[1])).status == "updated"


def test_a_number_that_was_given_over_rest_keeps_the_order(ward: Ward) -> None:
    stored(ward, adt("1", "A"))
    (system,) = {one["system"] for one in living(ward)[0]["identifier"]}
    put(ward, "A", identifier=[{"system": system, "value": "A"}, {"system": system, "value": "B"}])
    assert at_once(ward, adt("2", "A"), adt("3", "B")) == [["2"], []]


def test_a_merge_that_was_taken_back_over_rest_holds_nobody_up(ward: Ward) -> None:
    stored(ward, adt("1", "old"), adt("2", "new"), merge("3", "new", "old"))
    everybody = ward.rows("SELECT id, body FROM resource WHERE body @> '{\"active\": false}'")
    assert len(everybody) == 1
    ward.rows(
        "UPDATE resource SET body = body || '{\"active\": true}' WHERE body @> '{\"active\": false}' RETURNING rid"
    )
    assert at_once(ward, adt("4", "old"), adt("5", "new")) == [["4"], ["5"]]


def test_a_merge_that_was_not_committed_holds_nobody_up(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one that became a dead letter."""
    stored(ward, adt("1", "old"), adt("2", "new"))
    real = worker_module.deliver_batch

    def deliver_batch(*arguments: Any, **named: Any) -> Any:
        real(*arguments)
        raise Unavailable("it dies here")

    ward.keep(merge("3", "new", "old"))
    with monkeypatch.context() as patched:
        patched.setattr(worker_module, "deliver_batch", deliver_batch)
        with pytest.raises(Unavailable):
            ward.work()
    ward.rows("DELETE FROM hl7_queue RETURNING message_id")
    assert at_once(ward, adt("4", "old"), adt("5", "new")) == [["4"], ["5"]]


def test_a_worker_leaves_to_the_next_what_is_of_a_merged_patient(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that names the retired number is being delivered when the one that names the surviving number comes."""
    stored(ward, adt("1", "old"), adt("2", "new"), merge("3", "new", "old"))
    real = worker_module.deliver_batch
    reached, go_on = threading.Event(), threading.Event()

    def deliver_batch(*arguments: Any, **named: Any) -> Any:
        reached.set()
        assert go_on.wait(30)
        return real(*arguments, **named)

    ward.keep(adt("4", "old", "FIRST"), adt("5", "new", "SECOND"))
    with monkeypatch.context() as patched:
        patched.setattr(worker_module, "deliver_batch", deliver_batch)
        thread = threading.Thread(target=ward.worker(most=1).once, args=(ward.tenant.id,), daemon=True)
        thread.start()
        assert reached.wait(30)
    try:
        assert ward.worker().once(ward.tenant.id) == 0
    finally:
        go_on.set()
        thread.join(30)
    assert ward.work() == 1
    assert [one["name"][0]["family"] for one in living(ward)] == ["SECOND"]


def test_messages_of_one_patient_by_two_numbers_are_delivered_by_whoever_has_the_first(ward: Ward) -> None:
    stored(ward, adt("1", "A~B"))
    ward.keep(adt("2", "A~B", "SECOND"), adt("3", "B", "LAST"), adt("4", "C"))
    worker = ward.worker()
    assert [worker.once(ward.tenant.id) for _ in range(2)] == [3, 0]
    assert sorted(one["name"][0]["family"] for one in living(ward)) == ["LAST", "SMITH"]
