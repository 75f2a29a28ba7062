"""A change of a resource as one message. docs/hl7-outbound.md

https://www.hl7.eu/HL7v2x/v251/std251/hl7.htm for what stands in which order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hl7_gateway.conformance.definitions import known_version
from hl7_gateway.lint import event_structure
from hl7_gateway.outbound.building import events, patient, scheduling, visit
from hl7_gateway.outbound.building.results import Report, alone
from hl7_gateway.outbound.building.sources import Impossible, Instead, Resource, Sources, Untold, found
from hl7_gateway.outbound.building.text import segment, taken_back, text
from hl7_gateway.outbound.building.writer import Writer
from hl7_gateway.outbound.rules import Configuration
from hl7_gateway.wire.versions import before as older


@dataclass(frozen=True, slots=True)
class Change:
    """A version of a resource, and the one before; None for what was not there, or is not any more.

    ``at`` is when it was written, ``now`` the present, both as FHIR writes an instant.
    """

    kind: str
    before: Resource | None
    after: Resource | None
    at: str
    now: str

    @property
    def resource(self) -> Resource:
        """What there is to tell of. Raises Untold where there is nothing."""
        told = self.after if self.after is not None else self.before
        if told is None:
            raise Untold("The resource is not there, or was not before.")
        return told


@dataclass(frozen=True, slots=True)
class Made:
    """A message: its trigger event, its bytes, and what it says all there is to say of ("DiagnosticReport/123")."""

    event: str
    raw: bytes
    about: tuple[str, ...] = ()

    def says_the_same(self, raw: bytes) -> bool:
        """Whether another message differs by its header alone."""
        return self.raw.partition(b"\r")[2] == raw.partition(b"\r")[2]


def build(change: Change, control_id: str, sources: Sources, configuration: Configuration) -> Made:
    """The message that tells of a change.

    Raises Untold where none should, Impossible where none can be made.
    """
    told = _Message(change, control_id, sources, configuration)
    event, lines = {
        "Patient": told.of_patient,
        "Encounter": told.of_encounter,
        "DiagnosticReport": told.of_report,
        "Observation": told.of_observation,
        "Appointment": told.of_appointment,
    }[change.kind]()
    return Made(event, "".join(f"{line}\r" for line in lines).encode(), tuple(told.about))


class _Message:
    def __init__(self, change: Change, control_id: str, sources: Sources, configuration: Configuration) -> None:
        self._change = change
        self._control_id = control_id
        self._sources = sources
        self._writer = Writer(configuration)
        self.about: list[str] = []

    def of_patient(self) -> tuple[str, list[str]]:
        """ADT about a person."""
        event = events.of_patient(self._change.before, self._change.after)
        known = self._change.resource
        lines = self._head("ADT", event)
        if event == "A40":
            surviving = found(self._sources, events.merged_into(known), known)
            if surviving is None or surviving.get("resourceType") != "Patient":
                raise Impossible("The patient that this one lives on as cannot be read.")
            merged = patient.mrg(known, surviving, self._writer)
            return event, [*lines, segment("PID", patient.pid(surviving, self._writer)), segment("MRG", merged)]
        lines += self._patient("ADT", event, known, self._change.before if event == "A31" else None)
        return event, [*lines, segment("PV1", {1: "1", 2: "N"})]

    def of_encounter(self) -> tuple[str, list[str]]:
        """ADT about a visit."""
        before, after = self._change.before, self._change.after
        event = events.of_encounter(before, after)
        known = self._change.resource
        moment = ""
        period = known.get("period", {})
        if event in ("A03", "A01", "A04"):
            moment = period.get("end" if event == "A03" else "start", "")
        lines = self._head("ADT", event, moment)
        lines += self._patient("ADT", event, self._subject(known), None)
        first = visit.pv1(known, self._sources, self._writer, event=event, before=before)
        second = visit.pv2(known, self._sources, self._writer, event=event)
        if event == "A08" and before is not None:
            first = taken_back(visit.pv1(before, self._sources, self._writer), first)
            second = taken_back(visit.pv2(before, self._sources, self._writer), second)
        lines.append(segment("PV1", first))
        if any(second.values()):
            lines.append(segment("PV2", second))
        return event, lines

    def of_report(self) -> tuple[str, list[str]]:
        """ORU: a report with its results."""
        known = self._change.resource
        if self._change.after is None:
            if known.get("status") == "entered-in-error":
                raise Untold("The report was told to be an error before.")
            known = {**known, "status": "entered-in-error"}
        return "R01", self._reports([known], self._sources)

    def of_observation(self) -> tuple[str, list[str]]:
        """ORU: the reports that a result belongs to, or the result alone."""
        known = self._change.resource
        sources = self._sources
        if self._change.after is None:
            if known.get("status") == "entered-in-error":
                raise Untold("The result was told to be an error before.")
            known = {**known, "status": "entered-in-error"}
            sources = Instead(sources, known)
        reports = list(sources.reports_of(known["id"]))
        return "R01", self._reports(reports or [alone(known)], sources)

    def _reports(self, reports: list[Resource], sources: Sources) -> list[str]:
        known = reports[0]
        lines = self._head("ORU", "R01")
        lines.append(segment("PID", patient.pid(self._subject(known), self._writer)))
        encounter = found(sources, known.get("encounter"), known)
        if encounter is not None and encounter.get("resourceType") == "Encounter":
            lines.append(segment("PV1", visit.pv1(encounter, sources, self._writer)))
        for place, report in enumerate(reports, 1):
            lines += Report(report, sources, self._writer, place).segments()
            self.about.append(f"DiagnosticReport/{report['id']}")
            self.about += [str(one.get("reference", "")) for one in report.get("result", ())]
        return lines

    def of_appointment(self) -> tuple[str, list[str]]:
        """SIU: an appointment."""
        event = events.of_appointment(self._change.before, self._change.after)
        known = self._change.resource
        who = scheduling.patient_of(known, self._sources)
        if who is None:
            raise Untold("The appointment has no patient.")
        lines = self._head("SIU", event)
        lines.append(segment("SCH", scheduling.sch(known, self._sources, self._writer)))
        lines += scheduling.notes(known)
        lines.append(segment("PID", patient.pid(who, self._writer)))
        return event, [*lines, *scheduling.resources(known, self._sources, self._writer)]

    # Parts

    def _head(self, kind: str, event: str, moment: str = "") -> list[str]:
        """MSH, and EVN of an ADT."""
        writer, configuration = self._writer, self._writer.configuration
        structure = event_structure(kind, event, known_version(writer.version))
        name = structure.name if structure is not None else f"{kind}_{event}"
        fields = [
            "MSH", "^~\\&", *(
                text(one)
                for one in (
                    configuration.application, configuration.facility,
                    configuration.receiving_application, configuration.receiving_facility,
                )
            ),
            writer.moment(self._change.now), "", f"{kind}^{event}^{name}", self._control_id,
            configuration.processing_id, writer.version, "", "", "", "", "", "UNICODE UTF-8",
        ]  # fmt: skip
        lines = ["|".join(fields)]
        if kind == "ADT":
            happened = writer.moment(moment or self._change.at)
            evn = {1: event if older(writer.version, "2.7") else "", 2: writer.moment(self._change.at), 6: happened}
            lines.append(segment("EVN", evn))
        return lines

    def _subject(self, known: Resource) -> Resource:
        who = found(self._sources, known.get("subject"), known)
        if who is None or who.get("resourceType") != "Patient":
            raise Impossible("Its patient cannot be read.")
        return who

    def _patient(self, kind: str, event: str, who: Resource, before: Resource | None) -> Iterator[str]:
        """PID, and PD1 and NK1 where the structure has them. What is gone since ``before`` is taken back."""
        fields = patient.pid(who, self._writer)
        if before is not None:
            fields = taken_back(patient.pid(before, self._writer), fields)
        yield segment("PID", fields)
        carers = patient.pd1(who, self._sources, self._writer)
        structure = event_structure(kind, event, known_version(self._writer.version))
        names = {node.name for node in structure.nodes} if structure is not None else set()
        if any(carers.values()) and "PD1" in names:
            yield segment("PD1", carers)
        if "NK1" in names:
            for one in patient.nk1(who, self._writer):
                yield segment("NK1", one)
