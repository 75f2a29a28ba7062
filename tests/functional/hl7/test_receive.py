"""What is answered, and what is kept before it is. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fhir_server.errors import Unavailable
from fhir_server.store import hl7_messages
from fhir_server.store.hl7_messages import Settled
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway import answers, receive
from hl7_gateway.feed import Feed
from hl7_gateway.message import Heading, Message
from hl7_gateway.reading import Read, ReadBatch
from hl7_gateway.wire.client import read
from hl7_gateway.wire.mllp import frame
from tests.functional.hl7.gateway import Gateway, message


@pytest.fixture
def gateway(app_database: Database, tenant: Tenant) -> Gateway:
    return Gateway(app_database, tenant, commit_seconds=0.5)


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario

    asyncio.run(bounded())


def test_a_message_is_kept_as_it_came_and_then_acknowledged(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            answer = await sender.send(message("77"))
            assert (answer.code, answer.control_id) == ("AA", "77")
            (found,) = gateway.found()
            assert (found.state, found.control_id, found.message_type, found.event) == ("received", "77", "ADT", "A01")
            whole = gateway.whole(found.id)
            assert whole.raw == message("77")
            assert len(whole.patients) == 1
            assert gateway.found(patients=whole.patients) == [found]

    run(scenario())


def test_the_same_again_is_kept_once_and_answered_the_same(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            first = await sender.raw(message("1"))
            assert await sender.raw(message("1")) == first
            other = await sender.send(message("1", patient="456"))
            assert other.code == "AA"
            assert [(one.control_id, one.conflicting) for one in gateway.found()] == [("1", False), ("1", True)]

    run(scenario())


def test_the_same_twice_at_the_same_moment_is_kept_once(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            senders = [await gateway.connect() for _ in range(16)]
            told = await asyncio.gather(*(sender.raw(message("1")) for sender in senders))
            assert len(set(told)) == 1
            assert len(gateway.found()) == 1

    run(scenario())


def test_two_in_one_packet_and_garbage_and_a_large_one_have_one_answer_each(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            sender.writer.write(frame(message("1")) + frame(message("2")))
            assert [read(await sender.next()).control_id for _ in range(2)] == ["1", "2"]
            for octet in frame(message("3")):
                sender.writer.write(bytes([octet]))
                await sender.writer.drain()
            assert read(await sender.next()).control_id == "3"
            large = message("4", "R01", kind="ORU", rest="OBR|1\rOBX|1|TX|A^B|1|" + "x" * 5_000_000 + "\r")
            sender.writer.write(b"garbage" + frame(large))
            assert read(await sender.next()).code == "AA"
            sender.writer.write(b"\x0b" + message("5") + b"\x1c" + frame(message("6")))
            assert [read(await sender.next()).control_id for _ in range(2)] == ["5", "6"]
            assert [one.control_id for one in gateway.found()] == ["1", "2", "3", "4", "5", "6"]

    run(scenario())


@pytest.mark.parametrize(
    ("modes", "good", "bad"),
    [
        ("AL|AL", ["CA", "AA"], ["CR"]),
        ("AL|NE", ["CA"], ["CR"]),
        ("NE|NE", [], []),
        ("NE|ER", [], ["AR"]),
        ("ER|SU", ["AA"], ["CR"]),
        ("|AL", ["AA"], ["AR"]),
    ],
)
def test_enhanced_mode_has_the_answers_that_are_asked_for(
    gateway: Gateway, modes: str, good: list[str], bad: list[str]
) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            for control_id, event, expected in (("1", "A01", good), ("2", "Z99", bad), ("1", "A01", good)):
                sender.writer.write(frame(message(control_id, event, modes=modes)))
                assert [read(await sender.next()).code for _ in expected] == expected
            assert await sender.silent()
            assert [one.state for one in gateway.found()] == ["received", "dead"]

    run(scenario())


def test_a_stranger_does_not_fill_the_log(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with gateway.serving(application="EPIC"):
            sender = await gateway.connect()
            sender.writer.write(frame(message(application="NOBODY")) * 200)
            assert {read(await sender.next()).code for _ in range(200)} == {"AR"}
            assert (await sender.send(message("2"))).code == "AA"

    run(scenario())
    told = [record for record in caplog.records if "of no feed" in record.message]
    assert [getattr(record, "times", 0) for record in told] == [1]
    assert gateway.metrics.registry.get_sample_value("hl7_unknown_senders_total") == 200


def test_what_is_refused_is_a_dead_letter_and_says_where(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            unknown = await sender.send(message("1", "Z99"))
            assert (unknown.code, unknown.complaints[0].code) == ("AR", "201")
            nobody = await sender.send(message("2", patient=""))
            assert (nobody.code, nobody.complaints[0].code, nobody.complaints[0].place) == ("AE", "101", "PID")
            unreadable = await sender.send(b"HELLO")
            assert unreadable.code == "AE"
            assert (await sender.send(message("3"))).code == "AA"
            found = gateway.found()
            assert [one.state for one in found] == ["dead", "dead", "dead", "received"]
            assert [(one.problem or {}).get("code") for one in found] == [201, 101, 100, None]
            assert gateway.whole(found[2].id).raw == b"HELLO"

    run(scenario())


def test_bytes_that_are_of_no_character_set_are_refused_or_replaced_as_the_feed_says(gateway: Gateway) -> None:
    sent = message("1").replace(b"ANNA", b"ANN\xe9")

    async def scenario() -> None:
        async with gateway.serving(application="EPIC", invalid_bytes="refuse"):
            gateway.feed("other", application="OTHER")
            sender = await gateway.connect()
            refused = await sender.send(sent)
            assert (refused.code, refused.complaints[0].code, refused.complaints[0].place) == ("AE", "102", "PID-5")
            assert (await sender.send(sent.replace(b"EPIC", b"OTHER"))).code == "AA"
            assert [gateway.whole(one.id).raw for one in gateway.found()] == [sent, sent.replace(b"EPIC", b"OTHER")]

    run(scenario())


def test_whose_feed_it_is_decides_whose_message_it_is(gateway: Gateway, new_tenant: Callable[[], Tenant]) -> None:
    other = new_tenant()

    async def scenario() -> None:
        async with gateway.serving(application="EPIC"):
            gateway.feed_of(other, "lab", application="OTHER")
            sender = await gateway.connect()
            assert (await sender.send(message("1"))).code == "AA"
            assert (await sender.send(message("2", application="OTHER"))).code == "AA"
            stranger = await sender.send(message("3", application="NOBODY"))
            assert (stranger.code, stranger.control_id) == ("AR", "3")
            assert [one.control_id for one in gateway.found()] == ["1"]
            assert [one.control_id for one in Gateway(gateway.database, other).found()] == ["2"]

    run(scenario())


def test_a_batch_has_an_outcome_for_each_message(gateway: Gateway) -> None:
    parts = [message("1"), message("2", patient=""), message("3", modes="AL|NE")]
    whole = b"FHS|^~\\&|EPIC|HOSP\rBHS|^~\\&|EPIC|HOSP|FHIR|CLINIC|||||B7\r" + b"".join(parts) + b"BTS|4\rFTS|1\r"

    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            answer = (await sender.raw(whole)).decode()
            lines = answer.rstrip("\r").split("\r")
            assert lines[0].startswith("BHS|^~\\&|||EPIC|HOSP|")
            assert [line.split("|")[1] + line.split("|")[2] for line in lines if line.startswith("MSA")] == [
                "AA1", "AE2", "CA3",
            ]  # fmt: skip
            assert lines[-1].startswith("BTS|3|BTS-1: ")
            assert [(one.control_id, one.state) for one in gateway.found()] == [
                ("1", "received"), ("2", "dead"), ("3", "received"),
            ]  # fmt: skip
            assert await sender.raw(message("4")) != b""

    run(scenario())


def test_only_behind_a_crowd_a_message_is_in_no_hurry(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends alone is never kept waiting for others."""
    hurried: list[bool] = []
    kept = gateway.committer.kept

    def asked(*arguments: Any, hurry: bool = True) -> Any:
        hurried.append(hurry)
        return kept(*arguments, hurry=hurry)

    monkeypatch.setattr(gateway.committer, "kept", asked)

    async def scenario() -> None:
        async with gateway.serving(acknowledgment="commit"):
            for number in range(receive._CROWD + 3):
                sender = await gateway.connect()
                sender.writer.write(frame(message(str(number))))
                while len(gateway.found()) <= number:
                    await asyncio.sleep(0.005)

    gateway.receiver._commit_seconds = 3.0
    run(scenario())
    assert hurried == [True] * receive._CROWD + [False] * 3


def test_a_batch_is_not_waited_for_again_and_again(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody converts, as while a feed is paused: that shows with the first messages."""
    monkeypatch.setattr(receive, "_TOGETHER", 2)
    parts = [message(str(number)) for number in range(12)]
    whole = b"BHS|^~\\&|EPIC|HOSP\r" + b"".join(parts) + b"BTS|12\r"

    async def scenario() -> None:
        async with gateway.serving(acknowledgment="commit"):
            sender = await gateway.connect()
            began = time.monotonic()
            answer = (await sender.raw(whole)).decode()
            assert time.monotonic() - began < 4 * 0.5
            said = [line.split("|")[1] for line in answer.split("\r") if line.startswith("MSA")]
            assert said == ["AE"] * 12
            assert {one.state for one in gateway.found()} == {"received"}
            assert len(gateway.found()) == 12

    run(scenario())


def settle(gateway: Gateway, number: int, acknowledgment: bytes) -> None:
    done = [Settled(number, "stored", "m", acknowledgment=acknowledgment, awaited=True)]
    gateway.database.transaction(gateway.tenant.id, lambda c: hl7_messages.settle(c, gateway.tenant.id, done, 9))


def test_a_feed_may_have_acknowledged_only_what_is_stored(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(acknowledgment="commit"):
            sender = await gateway.connect()
            sender.writer.write(frame(message("1")))
            assert await sender.silent()
            (found,) = gateway.found()
            assert found.state == "received"
            settle(gateway, found.id, answers.settled(Message(message("1").decode()), None))
            assert read(await sender.next()).code == "AA"

    run(scenario())


def test_who_waits_too_long_is_told_to_ask_again_and_is_then_told(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(acknowledgment="commit"):
            sender = await gateway.connect()
            late = await sender.send(message("1"))
            assert (late.code, late.complaints[0].code) == ("AE", "207")
            (found,) = gateway.found()
            settle(gateway, found.id, answers.settled(Message(message("1").decode()), None))
            assert (await sender.send(message("1"))).code == "AA"
            assert len(gateway.found()) == 1

    run(scenario())


def test_who_was_promised_that_it_is_safe_gets_that_at_once(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(acknowledgment="commit"):
            sender = await gateway.connect()
            assert (await sender.send(message("1", modes="AL|AL"))).code == "CA"
            (found,) = gateway.found()
            settle(gateway, found.id, answers.settled(Message(message("1", modes="AL|AL").decode()), None))
            assert read(await sender.next()).code == "AA"
            assert (await sender.send(message("2", modes="AL|AL"))).code == "CA"
            assert await sender.silent(0.8)

    run(scenario())


def test_a_control_id_that_no_column_takes_is_kept_all_the_same(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            assert (await sender.send(message("a\x00b"))).code == "AA"
            assert [one.control_id for one in gateway.found()] == ["a b"]

    run(scenario())


def test_who_is_cut_off_between_keeping_and_answering_sends_again_and_is_answered(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            with monkeypatch.context() as patched:
                # It is committed by then.
                patched.setattr(gateway.metrics, "answered", lambda *_: 1 / 0)
                with pytest.raises(ConnectionError):
                    await sender.send(message("1"))
            assert len(gateway.found()) == 1
            again = await gateway.connect()
            assert (await again.send(message("1"))).code == "AA"
            assert len(gateway.found()) == 1

    run(scenario())


def test_without_a_database_nothing_positive_is_said(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def transaction(*_: object) -> None:
        raise Unavailable("away")

    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            with monkeypatch.context() as patched:
                patched.setattr(gateway.keeper, "_patience", 0.3)
                patched.setattr(gateway.database, "transaction", transaction)
                answer = await sender.send(message("1"))
                assert (answer.code, answer.complaints[0].code) == ("AE", "207")
            assert (await sender.send(message("1"))).code == "AA"
            assert len(gateway.found()) == 1

    run(scenario())


def test_messages_of_a_connection_are_kept_in_order_however_long_each_takes_to_be_read(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = receive.read

    def slow(feed: Feed, raw: bytes, said: Heading | None = None) -> Read | ReadBatch:
        if len(raw) > 1_000:
            time.sleep(0.3)
        return real(feed, raw, said)

    monkeypatch.setattr(receive, "_LARGE", 1_000)
    monkeypatch.setattr(receive, "read", slow)
    large = message("1", rest="NTE|1||" + "x" * 1_000 + "\r")
    batch = b"BHS|^~\\&|EPIC\r" + message("3", rest="NTE|1||" + "x" * 1_000 + "\r") + message("4") + b"BTS|2\r"

    async def scenario() -> None:
        async with gateway.serving(application="EPIC"):
            sender, other = await gateway.connect(), await gateway.connect()
            stranger = message("0", application="NOBODY")
            frames = (large, stranger, message("2"), stranger, batch, message("5"))
            sender.writer.write(b"".join(frame(one) for one in frames))
            assert (await other.send(message("first"))).code == "AA"
            told = [await sender.next() for _ in frames]
            assert [read(told[place]).control_id for place in (0, 1, 2, 3, 5)] == ["1", "0", "2", "0", "5"]
            assert [one.control_id for one in gateway.found()] == ["first", "1", "2", "3", "4", "5"]
            assert gateway.receiver._last == {}

    run(scenario())
