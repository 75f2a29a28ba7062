"""Numbered messages over sockets, across restarts and deaths. docs/hl7.md, "Numbered messages"

What is answered is that of the "Sequence number protocol", https://www.hl7.eu/HL7v2x/v281/std281/ch02.html
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fhir_server.errors import Unavailable
from fhir_server.store import hl7_feeds, hl7_sequences
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from hl7_gateway import keeping
from hl7_gateway.wire.mllp import frame
from tests.functional.hl7.gateway import Gateway, Sender, message
from tests.functional.hl7.ward import worker_of

QUERY = b"MSH|^~\\&|EPIC|HOSP|FHIR|CLINIC|20260101120000||%s|q%d|P|2.5.1|%d\r"


def numbered(number: object, control_id: str | None = None, event: str = "A01", modes: str = "", **rest: Any) -> bytes:
    """A message with a number."""
    made = message(str(number) if control_id is None else control_id, event, **rest)
    return made.replace(b"|P|2.5.1|||", b"|P|2.5.1|%s||%s" % (str(number).encode(), modes.encode()), 1)


def query(number: int, kind: bytes = b"ADT^A01") -> bytes:
    """A message of nothing but MSH."""
    return QUERY % (kind, abs(number), number)


def told(answer: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-4."""
    fields = answer.decode().split("\rMSA|")[1].split("\r")[0].split("|")
    return fields[0], fields[3] if len(fields) > 3 else ""


@pytest.fixture
def gateway(app_database: Database, tenant: Tenant) -> Gateway:
    return Gateway(app_database, tenant, commit_seconds=5)


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


def expected(gateway: Gateway, feed_id: int | None = None) -> int:
    number = gateway.tenant.id
    if feed_id is None:
        (feed_id,) = [one.id for one in gateway.feeds.all if one.tenant_id == number]
    chosen = feed_id
    return gateway.database.transaction(number, lambda c: hl7_sequences.expected(c, number, chosen))


def controls(gateway: Gateway) -> list[str]:
    return [one.control_id for one in gateway.found()]


def test_the_example_of_the_standard(gateway: Gateway) -> None:
    """2.17.3, "Sequence number: initial message": a message without content of 2.1, and its answer."""

    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            assert told(await sender.raw(query(-1))) == ("AA", "-1")
            example = b"MSH|^~\\&|ADT|767543|LAB|767543|199003141304-0500||^|XX3657|P|2.1|0\r"
            assert told(await sender.raw(example)) == ("AA", "-1")
            (feed_id,) = [one.id for one in gateway.feeds.all if one.tenant_id == gateway.tenant.id]
            number = gateway.tenant.id
            gateway.database.transaction(number, lambda c: hl7_sequences.expect(c, number, feed_id, 1))
            answer = await sender.raw(example)
            assert b"\rMSA|AA|XX3657||1\r" in answer
            assert gateway.found() == []

    run(scenario())


def test_a_link_is_started_goes_on_and_is_put_in_step_again(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            assert told(await sender.raw(query(0))) == ("AA", "-1")
            # The first that is taken says where to begin.
            assert told(await sender.raw(numbered(41))) == ("AA", "41")
            assert told(await sender.raw(numbered(42))) == ("AA", "42")
            assert told(await sender.raw(query(0, b""))) == ("AA", "43")
            # A gap, and what is behind: neither is kept.
            gap = await sender.raw(numbered(44))
            assert told(gap) == ("AE", "43")
            (feed,) = [one for one in gateway.feeds.all if one.tenant_id == gateway.tenant.id]
            assert gateway.metrics.out_of_step(feed) == 43
            assert b"MSH^1^13" in gap
            assert b"It must be 43" in gap
            assert told(await sender.raw(numbered(42, "other"))) == ("AE", "43")
            assert told(await sender.raw(numbered(43))) == ("AA", "43")
            assert gateway.metrics.out_of_step(feed) == 0
            # The one that came too early is not known as refused.
            assert told(await sender.raw(numbered(44))) == ("AA", "44")
            assert told(await sender.raw(query(-1))) == ("AA", "-1")
            assert told(await sender.raw(query(0))) == ("AA", "-1")
            assert told(await sender.raw(numbered(7))) == ("AA", "7")
            assert expected(gateway) == 8
            assert controls(gateway) == ["41", "42", "43", "44", "7"]

    run(scenario())


def test_the_same_message_again_has_the_acknowledgment_that_it_had(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            first = await sender.raw(numbered(1))
            second = await sender.raw(numbered(2))
            assert await sender.raw(numbered(1)) == first
            assert await sender.raw(numbered(2)) == second
            assert told(await sender.raw(numbered(3))) == ("AA", "3")

    run(scenario())


def test_what_is_kept_has_its_number_whether_it_can_be_taken_or_not(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            assert told(await sender.raw(numbered(1, event="Z99"))) == ("AR", "1")
            assert told(await sender.raw(numbered(2, patient=""))) == ("AE", "2")
            assert told(await sender.raw(numbered(3))) == ("AA", "3")
            # Without a number it is kept for somebody to look at, and takes none.
            for text, code in (("", "101"), ("x", "102"), ("-2", "102"), ("1.5", "102"), ("9" * 16, "102")):
                answer = await sender.raw(numbered(text, f"id{text[:3]}"))
                assert told(answer) == ("AE", "")
                assert f"|MSH^1^13|{code}^".encode() in answer
            assert told(await sender.raw(numbered(4))) == ("AA", "4")
            assert [one.state for one in gateway.found()] == ["dead"] * 2 + ["received"] + ["dead"] * 5 + ["received"]

    run(scenario())


@pytest.mark.parametrize(
    ("modes", "kept", "gap", "asked"),
    [
        ("AL|AL", [("CA", "1"), ("AA", "1")], [("CE", "2")], ("CA", "2")),
        ("AL|NE", [("CA", "1")], [("CE", "2")], ("CA", "2")),
        ("NE|AL", [("AA", "1")], [("AE", "2")], ("AA", "2")),
        ("NE|NE", [], [], ("AA", "2")),
    ],
)
def test_in_the_enhanced_mode_each_answer_has_the_number(
    gateway: Gateway, modes: str, kept: list[tuple[str, str]], gap: list[tuple[str, str]], asked: tuple[str, str]
) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            for number, answers in ((1, kept), (3, gap)):
                sender.writer.write(frame(numbered(number, modes=modes)))
                assert [told(await sender.next()) for _ in answers] == answers
            sender.writer.write(frame(query(0).replace(b"|0\r", b"|0||" + modes.encode() + b"\r")))
            assert told(await sender.next()) == asked

    run(scenario())


def test_what_is_acknowledged_when_it_is_stored_has_its_number_too(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True, acknowledgment="commit"):
            sender = await gateway.connect()
            worker = worker_of(gateway)
            sender.writer.write(frame(numbered(1)))
            while not await asyncio.to_thread(worker.once, gateway.tenant.id):
                await asyncio.sleep(0.01)
            first = await sender.next()
            assert told(first) == ("AA", "1")
            assert await sender.raw(numbered(1)) == first
            assert told(await sender.raw(numbered(3))) == ("AE", "2")

    run(scenario())


def test_who_does_not_number_messages_is_answered_none(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving():
            sender = await gateway.connect()
            for number in (5, 3):
                assert told(await sender.raw(numbered(number))) == ("AA", "")
            assert controls(gateway) == ["5", "3"]

    run(scenario())


def test_what_is_too_large_is_answered_with_the_number_that_is_expected(gateway: Gateway) -> None:
    """After what came before it in the same packet; it is not kept, so that it may come again smaller."""

    async def scenario() -> None:
        async with gateway.serving(sequence=True, limit=2_000):
            sender = await gateway.connect()
            large = numbered(2, rest="NTE|1||" + "x" * 3_000 + "\r")
            assert told(await sender.raw(large)) == ("AR", "-1"), "any is expected"
            sender.writer.write(b"".join(frame(one) for one in (numbered(1), large, numbered(3), numbered(2))))
            answers = [await sender.next() for _ in range(4)]
            assert [told(one) for one in answers] == [("AA", "1"), ("AR", "2"), ("AE", "2"), ("AA", "2")]
            assert b"|207" in answers[1]
            assert b"3,1" in answers[1], "how large it is"
            assert b"2,000" in answers[1]
            enhanced = numbered(3, modes="AL|NE", rest="NTE|1||" + "x" * 3_000 + "\r")
            assert told(await sender.raw(enhanced)) == ("CR", "3")

    run(scenario())
    assert controls(gateway) == ["1", "2"]
    labels = {"tenant": gateway.tenant.slug, "feed": "lab", "answer": "refused"}
    assert gateway.metrics.registry.get_sample_value("hl7_messages_total", labels) == 4


def test_what_is_too_large_has_no_number_where_messages_have_none(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(limit=2_000):
            sender = await gateway.connect()
            assert told(await sender.raw(message("1", rest="NTE|1||" + "x" * 3_000 + "\r"))) == ("AR", "")
            stranger = b"\x01\x02" + b"x" * 3_000
            assert told(await sender.raw(stranger)) == ("AR", "")
            assert told(await sender.raw(message("2"))) == ("AA", "")

    run(scenario())
    assert controls(gateway) == ["2"]


def test_messages_that_do_not_wait_for_each_other_are_taken_up_to_the_gap(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            numbers = [1, 2, 3, 5, 4, 6]
            sender.writer.write(b"".join(frame(numbered(number)) for number in numbers) + frame(query(0)))
            answers = [told(await sender.next()) for _ in range(len(numbers) + 1)]
            assert answers == [
                ("AA", "1"),
                ("AA", "2"),
                ("AA", "3"),
                ("AE", "4"),
                ("AA", "4"),
                ("AE", "5"),
                ("AA", "5"),
            ]
            assert controls(gateway) == ["1", "2", "3", "4"]

    run(scenario())


def test_a_batch_is_taken_up_to_the_gap(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            batch = b"BHS|^~\\&|EPIC|HOSP\r" + b"".join(numbered(number) for number in (1, 2, 4)) + b"BTS|3\r"
            answer = await sender.raw(batch)
            assert re.findall(rb"\rMSA\|(A.)\|(\d)\|[^|\r]*\|(\d)", answer) == [
                (b"AA", b"1", b"1"), (b"AA", b"2", b"2"), (b"AE", b"4", b"3"),
            ]  # fmt: skip

    run(scenario())


def test_each_feed_counts_for_itself(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True, application="EPIC"):
            other = gateway.feed("other", sequence=True, application="LAB")
            sender = await gateway.connect()
            assert told(await sender.raw(numbered(10))) == ("AA", "10")
            assert told(await sender.raw(numbered(500, application="LAB"))) == ("AA", "500")
            assert told(await sender.raw(numbered(11))) == ("AA", "11")
            assert expected(gateway, other) == 501

    run(scenario())


def test_connections_that_send_the_same_number_at_once_have_one_of_them_taken(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            senders = [await gateway.connect() for _ in range(8)]
            assert told(await senders[0].raw(numbered(1))) == ("AA", "1")
            sent = [sender.raw(numbered(2, f"c{place}")) for place, sender in enumerate(senders)]
            answers = [told(one) for one in await asyncio.gather(*sent)]
            assert sorted(answers) == [("AA", "2")] + [("AE", "3")] * 7

    run(scenario())


def test_the_number_outlives_the_gateway(app_database: Database, tenant: Tenant) -> None:
    async def scenario() -> None:
        first = Gateway(app_database, tenant)
        async with first.serving(sequence=True):
            sender = await first.connect()
            for number in (1, 2):
                await sender.raw(numbered(number))
            kept = await sender.raw(numbered(3))
        app_database.transaction(tenant.id, lambda c: hl7_feeds.remove(c, tenant.id, "nothing"))
        second = Gateway(app_database, tenant)
        async with again(second):
            sender = await second.connect()
            assert told(await sender.raw(query(0))) == ("AA", "4")
            assert told(await sender.raw(numbered(5))) == ("AE", "4")
            assert await sender.raw(numbered(3)) == kept
            assert told(await sender.raw(numbered(4))) == ("AA", "4")

    run(scenario())


@contextlib.asynccontextmanager
async def again(gateway: Gateway) -> Any:
    """The same feed by another gateway, at another port."""
    tenant = gateway.tenant.id

    def moved(connection: Connection) -> None:
        assert gateway.listener is not None
        configuration = {"port": gateway.listener.port, "sequence": True}
        assert hl7_feeds.change(connection, tenant, "lab", 9, configuration=configuration)

    async with gateway.serving(name="unused", networks=["192.0.2.1"]):
        gateway.database.transaction(tenant, moved)
        gateway.feeds.refresh(now=True)
        yield


@pytest.mark.parametrize("committed", [True, False])
def test_message_and_number_are_committed_together_or_not_at_all(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """The gateway dies when the message is kept, just before or after COMMIT, and its sender is not answered."""
    transaction = gateway.database.transaction
    dying: list[bool] = []

    def transaction_that_dies(tenant_id: int, work: Callable[[Connection], Any]) -> Any:
        if not dying:
            return transaction(tenant_id, work)

        def working(connection: Connection) -> Any:
            result = work(connection)
            if not committed:
                raise Unavailable("gone before COMMIT")
            return result

        transaction(tenant_id, working)
        raise Unavailable("gone before anybody knew")

    async def scenario() -> None:
        async with gateway.serving(sequence=True):
            sender = await gateway.connect()
            await sender.raw(numbered(1))
            monkeypatch.setattr(gateway.database, "transaction", transaction_that_dies)
            monkeypatch.setattr(keeping, "PATIENCE", 0.0)
            dying.append(True)
            gateway.keeper._patience = 0.0
            assert told(await sender.raw(numbered(2))) == ("AE", "")
            dying.clear()
            assert (controls(gateway), expected(gateway)) == ((["1", "2"], 3) if committed else (["1"], 2))
            # What the sender does: it asks, or it sends the same again.
            assert told(await sender.raw(query(0))) == ("AA", "3" if committed else "2")
            assert told(await sender.raw(numbered(2))) == ("AA", "2")
            assert told(await sender.raw(numbered(3))) == ("AA", "3")
            assert controls(gateway) == ["1", "2", "3"]

    run(scenario())


class Link:
    """What the standard says that a receiver does, in a few lines: the oracle."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.known: dict[tuple[int, str], str] = {}

    def answer(self, number: int, control_id: str) -> tuple[str, str]:
        expected = "-1" if self.last is None else str(self.last + 1)
        if number == 0:
            return "AA", expected
        if number == -1:
            self.last = None
            return "AA", "-1"
        if (number, control_id) in self.known:
            return "AA", str(number)
        if self.last is not None and number != self.last + 1:
            return "AE", expected
        self.last = number
        self.known[number, control_id] = control_id
        return "AA", str(number)


STEPS = st.lists(st.tuples(st.integers(-1, 6), st.sampled_from("ab")), max_size=25)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, pieces=st.integers(1, 5))
@example(steps=[(2, "a"), (1, "b"), (-1, "a"), (1, "b")], pieces=5)
def test_whatever_is_sent_is_answered_as_the_standard_says(
    app_database: Database, new_tenant: Callable[[], Tenant], steps: list[tuple[int, str]], pieces: int
) -> None:
    async def scenario() -> None:
        gateway, link = Gateway(app_database, new_tenant()), Link()
        async with gateway.serving(sequence=True):
            sender: Sender = await gateway.connect()
            for start in range(0, len(steps), pieces):
                some = steps[start : start + pieces]
                sent = [query(n) if n < 1 else numbered(n, f"{c}{n}") for n, c in some]
                sender.writer.write(b"".join(map(frame, sent)))
                for number, control_id in some:
                    assert told(await sender.next()) == link.answer(number, control_id)
            due = -1 if link.last is None else link.last + 1
            assert expected(gateway) == due
            assert controls(gateway) == [f"{control_id}{number}" for number, control_id in link.known]

    run(scenario())
