"""One message: what it says, what is wrong with it, what it has made, what can be done. docs/hl7.md, "On a page" """

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Response

from fhir_server.audit import event as events
from fhir_server.console.visit import Problems, Visit
from fhir_server.store.hl7_found import Whole
from fhir_server.store.hl7_messages import DEAD, RECEIVED
from hl7_gateway import answers
from hl7_gateway.conformance.finding import SEVERITIES
from hl7_gateway.console import changes, editing
from hl7_gateway.console.anatomy import Anatomy, Note, anatomy
from hl7_gateway.console.editing import NotEditable
from hl7_gateway.console.filters import STATES
from hl7_gateway.console.history import history
from hl7_gateway.console.messages_page import facts
from hl7_gateway.console.office import Office, number_of
from hl7_gateway.console.outcome import outcome
from hl7_gateway.console.words import tone
from hl7_gateway.feed import Feed
from hl7_gateway.lint import lint_bytes
from hl7_gateway.message import Message
from hl7_gateway.problems import Malformed
from hl7_gateway.replaying import NotOneMessage, preview
from hl7_gateway.replaying import replay as prepared

_LONGEST_SHOWN: Final = 100_000
_LONGEST_LINTED: Final = 300_000
_LONGEST_REASON: Final = 300
_MOST_FINDINGS: Final = 100

_DONE: Final[Mapping[str, str]] = {
    "replayed": "This message waits to be converted again. Load this page again to see what becomes of it.",
    "corrected": "The corrected message waits to be converted. The one that it corrects is kept as it came.",
    "dropped": "This message is dropped: it stays readable, and nobody has to look at it any more.",
}
_NEWER: Final = (
    "Later messages have said something else of what this one would change: look at it, and tick that it is meant."
)
_NOT_DEAD: Final = "This message is no dead letter any more: somebody was faster, or it was converted meanwhile."


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/messages/{message}"""
    office = Office(visit)
    number = number_of(visit.values.get("message", ""))
    whole = office.whole(number) if number is not None else None
    if whole is None:
        visit.record("hl7-read", outcome=events.REFUSED, status=404, reason="no such message", messages=_named(number))
        return visit.problem(404, "There is no such message", "This clinic has no message of this number.")
    feed = office.feed(whole.found.feed_id)
    if not visit.posted:
        return _page(office, whole, feed)
    match visit.value("do", 20):
        case "preview":
            return _preview(office, whole, feed)
        case "replay":
            return _replay(office, whole, feed)
        case "drop":
            return _drop(office, whole, feed)
        case _:
            return _page(office, whole, feed)


def _named(number: int | None) -> tuple[int, ...]:
    return () if number is None else (number,)


def _preview(office: Office, whole: Whole, feed: Feed | None) -> Response:
    text, raw, problems = _edited(office.visit, whole, feed)
    if problems or feed is None:
        return _page(office, whole, feed, problems, text)
    content = whole.raw if raw is None else raw
    told = preview(office.store, office.desk, feed, whole.found.id, content)
    office.visit.record(
        "hl7-preview", messages=(whole.found.id,), patient_ids=office.patient_ids(_message(feed, content), feed)
    )
    return _page(office, whole, feed, (), text, outcome(told), edited=raw is not None)


def _replay(office: Office, whole: Whole, feed: Feed | None) -> Response:
    visit = office.visit
    text, raw, problems = _edited(visit, whole, feed)
    if problems or feed is None:
        return _page(office, whole, feed, problems, text)
    try:
        asked = prepared(feed, office.hasher, whole, raw)
    except NotOneMessage as error:
        return _page(office, whole, feed, [("text", str(error))], text)
    content = whole.raw if raw is None else raw
    if not visit.value("newer", 3):
        told = preview(office.store, office.desk, feed, whole.found.id, content)
        if told.overtaken:
            visit.record(
                "hl7-preview", messages=(whole.found.id,), patient_ids=office.patient_ids(_message(feed, content), feed)
            )
            return _page(office, whole, feed, [("newer", _NEWER)], text, outcome(told), edited=raw is not None)
    done = changes.replay(office, [asked], office.patient_ids(_message(feed, content), feed))
    if whole.found.id not in done:
        return _page(office, whole, feed, [("", _NOT_DEAD)])
    what = "replayed" if raw is None else "corrected"
    return visit.redirect("message", message=str(done[whole.found.id]), done=what)


def _edited(visit: Visit, whole: Whole, feed: Feed | None) -> tuple[str, bytes | None, Problems]:
    """What was typed, its bytes (None where the message is as it came), and what is wrong with it."""
    if whole.found.state != DEAD:
        return "", None, [("", _NOT_DEAD)]
    if feed is None:
        return "", None, [("", "The feed of this message was removed or cannot be used: mend it first.")]
    if "text" not in visit.request.form:
        return "", None, ()
    # With line ends as a browser would have them again.
    text = visit.value("text", 2 * editing.LONGEST).replace("\r\n", "\n")
    try:
        if not text or len(text) > editing.LONGEST:
            raise NotEditable(f"Type a message of at most {editing.LONGEST:,} characters that begins with MSH.")
        if editing.same(text, editing.editable(feed, whole.raw)):
            return text, None, ()
        return text, editing.corrected(feed, text), ()
    except NotEditable as error:
        return text, None, [("text", str(error))]


def _drop(office: Office, whole: Whole, feed: Feed | None) -> Response:
    visit = office.visit
    reason = visit.value("reason", _LONGEST_REASON).strip()
    if not reason:
        return _page(
            office, whole, feed, [("reason", "Say why this message is not needed, in at most 300 characters.")]
        )
    if not changes.drop(office, [whole.found.id], reason):
        return _page(office, whole, feed, [("", _NOT_DEAD)])
    return visit.redirect("message", message=str(whole.found.id), done="dropped")


def _page(
    office: Office,
    whole: Whole,
    feed: Feed | None,
    problems: Problems = (),
    text: str = "",
    told: Any = None,
    *,
    edited: bool = False,
) -> Response:
    visit, found = office.visit, whole.found
    message = _message(feed, whole.raw)
    # Before anything is shown: no record, no answer.
    visit.record("hl7-read", messages=(found.id,), patient_ids=office.patient_ids(message, feed))
    done, made = history(office, found.id)
    shown = editing.text_of(feed, whole.raw)
    problem = found.problem or {}
    dead = found.state == DEAD
    why_not = ""
    if dead and not text:
        try:
            text = editing.editable(feed, whole.raw)
        except NotEditable as error:
            why_not = str(error)
    status = 409 if any(sentence == _NOT_DEAD for _, sentence in problems) else 200
    return visit.render(
        "hl7/message.html",
        status,
        problems=problems,
        done=_DONE.get(visit.request.args.get("done", ""), ""),
        one=found,
        state=dict(STATES).get(found.state, found.state),
        tone=tone(found.state),
        waits=found.state == RECEIVED,
        dead=dead,
        facts=[*facts(found, office), ("Mapping", whole.map_version or "the standard one")],
        feed_name=feed.name if feed is not None else "",
        problem=problem if problem.get("said") else None,
        corrected=problem.get("corrected"),
        dropped=problem.get("dropped"),
        anatomy=_anatomy(whole, feed, message),
        warnings=(whole.warnings or {}).get("warnings", ()),
        unmapped=(whole.warnings or {}).get("unmapped", ()),
        text=text,
        why_not=why_not,
        usable=feed is not None,
        raw=shown.lines[:_LONGEST_SHOWN],
        cut=len(shown.lines) > _LONGEST_SHOWN,
        replaced=shown.replaced,
        answers=[
            part.decode("utf-8", "replace").strip("\r").split("\r") for part in answers.parts(whole.acknowledgment)
        ],
        history=done,
        made=made,
        outcome=told,
        edited=edited,
    )


def _message(feed: Feed | None, raw: bytes) -> Message | None:
    try:
        return Message(editing.text_of(feed, raw).lines)
    except Malformed:
        return None


def _anatomy(whole: Whole, feed: Feed | None, message: Message | None) -> Anatomy | None:
    """The message with the reason why it is dead, and what is not as its version of the standard says."""
    if message is None:
        return None
    problem = whole.found.problem or {}
    notes = []
    if problem.get("said"):
        notes.append(Note("error", str(problem.get("place", "")), f"{problem.get('code', '')}: {problem['said']}"))
    default = feed.charset if feed is not None else "UNICODE UTF-8"
    if len(whole.raw) > _LONGEST_LINTED:
        notes.append(
            Note("information", "", "It is too long to be compared here with its version: hl7-gateway lint does.")
        )
        return anatomy(message, notes)
    for one in lint_bytes(whole.raw, default)[:_MOST_FINDINGS]:
        if (str(one.place), one.said) == (problem.get("place"), problem.get("said")):
            continue
        # What the standard calls an error has not kept the message out: that stands in its problem.
        told = "information" if one.severity == "I" else "warning"
        notes.append(Note(told, str(one.place), f"{SEVERITIES[one.severity]}: {one.said}"))
    return anatomy(message, notes)
