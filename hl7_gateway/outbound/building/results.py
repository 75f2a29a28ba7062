"""DiagnosticReport, and what belongs to it, as ORC, OBR, OBX, NTE and SPM.

https://hl7.org/fhir/uv/v2mappings/segment_maps.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.outbound.building import values
from hl7_gateway.outbound.building.codes import translated
from hl7_gateway.outbound.building.sources import Impossible, Resource, Sources, found
from hl7_gateway.outbound.building.text import Fields, repetitions, segment, text
from hl7_gateway.outbound.building.writer import Writer, usual_identifier
from hl7_gateway.wire.versions import before

_MOST: Final = 5_000
"""How many results one report may have."""

_CONCLUDED: Final = 32_000
"""Characters of a text in one NTE; a longer one goes on in the next."""


class Report:
    """Writes one report, the ``place``-th of a message."""

    def __init__(self, report: Resource, sources: Sources, writer: Writer, place: int = 1) -> None:
        self._report = report
        self._place = place
        self._sources = sources
        self._writer = writer
        self._order = self._first("basedOn", "ServiceRequest")
        self._number = 0
        self._again: dict[str, int] = {}

    def segments(self) -> Iterator[str]:
        """ORC, OBR and all that follows. Raises Impossible for a report of more results than anyone reads."""
        yield segment("ORC", self._orc())
        yield segment("OBR", self._obr())
        yield from self._notes(self._report.get("conclusion", ""))
        for one in self._results():
            yield from self._observation(one)
        for number, form in enumerate(self._report.get("presentedForm", ()), 1):
            yield from self._form(form, number)
        for number, reference in enumerate(self._report.get("specimen", ()), 1):
            specimen = found(self._sources, reference, self._report)
            if specimen is not None:
                yield segment("SPM", self._spm(specimen, number))

    def _first(self, element: str, kind: str) -> Resource:
        for reference in self._report.get(element, ()):
            one = found(self._sources, reference, self._report)
            if one is not None and one.get("resourceType", kind) == kind:
                return one
        return {}

    def _typed(self, kind: str) -> Resource | None:
        """The placer's or the filler's number of the report, else of its order."""
        for owner in (self._report, self._order):
            for one in owner.get("identifier", ()):
                if self._writer.kind_of(one) == kind:
                    return dict(one)
        return None

    def _filler(self) -> Resource:
        others = [one for one in self._report.get("identifier", ()) if self._writer.kind_of(one) != "PLAC"]
        return self._typed("FILL") or usual_identifier({"identifier": others}) or self._writer.own(self._report)

    def _placer(self) -> str:
        return self._writer.ei(self._typed("PLAC") or usual_identifier(self._order) or {})

    def _orc(self) -> Fields:
        return {1: "RE", 2: self._placer(), 3: self._writer.ei(self._filler()), 12: self._requester()}

    def _requester(self) -> str:
        requester = found(self._sources, self._order.get("requester"), self._order)
        return self._writer.xcn(requester) if requester is not None else ""

    def _obr(self) -> Fields:
        report, writer = self._report, self._writer
        lasting = report.get("effectivePeriod", {})
        section = next(
            (
                coding["code"]
                for one in report.get("category", ())
                for coding in one.get("coding", ())
                if coding.get("system") == f"{TERMINOLOGY}v2-0074" and coding.get("code")
            ),
            "",
        )
        readers = [writer.ndl(one) for one in self._people("resultsInterpreter")]
        doers = [writer.ndl(one) for one in self._people("performer")]
        return {
            1: str(self._place),
            2: self._placer(),
            3: writer.ei(self._filler()),
            4: writer.concept(report.get("code"), "OBR-4") or "^Report",
            7: writer.moment(report.get("effectiveDateTime", "") or lasting.get("start", "")),
            8: writer.moment(lasting.get("end", "")),
            16: self._requester(),
            22: writer.moment(report.get("issued", "")),
            24: text(section),
            25: translated("ResultStatus[Non-Queries]").get(report.get("status", ""), "Z"),
            31: writer.concepts(self._order.get("reasonCode", ()), "OBR-31"),
            32: next(iter(readers), ""),
            33: repetitions(readers[1:]),
            34: repetitions(doers),
        }

    def _people(self, element: str) -> Iterator[Resource]:
        for reference in self._report.get(element, ()):
            one = found(self._sources, reference, self._report)
            if one is not None and one.get("resourceType") not in ("Organization", "CareTeam"):
                yield one

    def _notes(self, said: str) -> Iterator[str]:
        for number, start in enumerate(range(0, len(said.strip()), _CONCLUDED), 1):
            yield segment("NTE", {1: str(number), 3: text(said.strip()[start : start + _CONCLUDED])})

    # Results

    def _results(self) -> Iterator[Resource]:
        """The results, and those that belong to them, each once, from the first to the last."""
        waiting = [(reference, self._report) for reference in reversed(self._report.get("result", ()))]
        seen: set[str] = set()
        while waiting:
            reference, owner = waiting.pop()
            path = str(reference.get("reference", ""))
            if path in seen:
                continue
            seen.add(path)
            if len(seen) > _MOST:
                raise Impossible(f"A report may have {_MOST:,} results.")
            one = found(self._sources, reference, owner)
            if one is not None and one.get("resourceType") == "Observation":
                yield one
                waiting += [(member, one) for member in reversed(one.get("hasMember", ()))]

    def _observation(self, observation: Resource) -> Iterator[str]:
        parts = observation.get("component", ())
        value = values.value_of(observation, self._writer)
        if value[0] or not parts:
            yield segment("OBX", self._obx(observation, observation, value))
        for part in parts:
            yield segment("OBX", self._obx(observation, part, values.value_of(part, self._writer)))
        yield from self._notes("\n".join(one.get("text", "") for one in observation.get("note", ())))

    def _obx(self, observation: Resource, part: Resource, value: tuple[str, str, str]) -> Fields:
        """``part`` is the Observation itself, or one of its components."""
        writer = self._writer
        kind, content, unit = value
        code = writer.concept(part.get("code"), "OBX-3") or "^Result"
        lasting = observation.get("effectivePeriod", {})
        when = observation.get("effectiveDateTime") or observation.get("effectiveInstant") or lasting.get("start", "")
        methods = [observation["method"]] if "method" in observation else []
        return {
            1: self._next(),
            # Later versions want a type even where there is no value.
            2: kind or ("" if before(writer.version, "2.7") else "ST"),
            3: code,
            4: self._sub_id(code),
            5: content,
            6: unit,
            7: values.limits(part, writer) if kind in ("NM", "SN", "ST", "TX", "CE", "CWE", "") else "",
            8: writer.concepts(part.get("interpretation", ()), "OBX-8", "0078"),
            11: self._status(observation),
            14: writer.moment(when),
            17: writer.concepts(methods, "OBX-17"),
        } | self._performers(observation)

    def _status(self, result: Resource) -> str:
        """OBX-11; of a report that is an error all results are."""
        if self._report.get("status") == "entered-in-error":
            return "W"
        return translated("ObservationResultStatusCodesInterpretation").get(result.get("status", ""), "F")

    def _next(self) -> str:
        self._number += 1
        return str(self._number)

    def _sub_id(self, code: str) -> str:
        """What tells results of the same code apart: nothing for the first, where the version asks for nothing."""
        again = self._again[code] = self._again.get(code, 0) + 1
        return str(again) if again > 1 or not before(self._writer.version, "2.7") else ""

    def _performers(self, observation: Resource) -> Fields:
        people, houses = [], []
        for reference in observation.get("performer", ()):
            one = found(self._sources, reference, observation)
            if one is not None and one.get("resourceType") == "Organization":
                houses.append(self._writer.xon(one))
            elif one is not None:
                people.append(self._writer.xcn(one))
        return {16: repetitions(people), 23: next(iter(houses), "")}

    def _form(self, form: Resource, number: int) -> Iterator[str]:
        """The report as a document: its content, or where it is."""
        kind, content = values.document(form)
        if content:
            fields: dict[int, Any] = {
                1: self._next(),
                2: kind,
                3: self._writer.concept(self._report.get("code"), "OBX-3") or "^Report",
                4: f"form{number}",
                5: content,
                11: self._status(self._report),
            }
            yield segment("OBX", fields)

    def _spm(self, specimen: Resource, number: int) -> Fields:
        writer = self._writer
        known = {writer.kind_of(one): one for one in specimen.get("identifier", ())}
        filler = known.get("FILL") or usual_identifier(specimen)
        numbers = [writer.ei(known.get("PLAC", {}), "&"), writer.ei(filler or {}, "&")]
        taken = specimen.get("collection", {})
        lasting = taken.get("collectedPeriod", {})
        times = [
            writer.moment(taken.get("collectedDateTime") or lasting.get("start", "")),
            writer.moment(lasting.get("end", "")),
        ]
        return {
            1: str(number),
            2: "^".join(numbers).rstrip("^"),
            4: writer.concept(specimen.get("type"), "SPM-4", "0487", "") or "^Specimen",
            7: writer.concept(taken.get("method"), "SPM-7", "0488"),
            8: writer.concept(taken.get("bodySite"), "SPM-8"),
            14: repetitions(text(one.get("text", "")) for one in specimen.get("note", ())),
            17: "^".join(times).rstrip("^"),
            18: writer.moment(specimen.get("receivedTime", "")),
        }


def alone(observation: Resource) -> dict[str, Any]:
    """The report that an Observation is by itself, where no other has it as a result."""
    status = observation.get("status", "")
    told = {
        "resourceType": "DiagnosticReport",
        "status": status if status in translated("ResultStatus[Non-Queries]") else "unknown",
        "result": [{"reference": f"Observation/{observation['id']}"}],
    }
    kept = (
        "id",
        "identifier",
        "basedOn",
        "code",
        "subject",
        "encounter",
        "effectiveDateTime",
        "effectivePeriod",
        "issued",
    )
    told |= {name: observation[name] for name in kept if name in observation}
    if "specimen" in observation:
        told["specimen"] = [observation["specimen"]]
    return told
