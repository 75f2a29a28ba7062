"""A patient as a line to choose. docs/pages.md"""

from __future__ import annotations

from fhir_server.console.patients import patient_shown


def test_numbers_that_open_doors_elsewhere_are_not_shown() -> None:
    shown = patient_shown(
        {
            "resourceType": "Patient", "id": "p", "name": [{"family": "Booker", "given": ["Marcus"]}],
            "birthDate": "1972-11-06",
            "identifier": [
                {"type": {"coding": [{"code": "SS"}]}, "value": "999-70-3435"},
                {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-70-3436"},
                {"type": {"text": "Record"}, "value": "MRN-56"},
            ],
        }
    )  # fmt: skip
    assert shown.name == "Marcus Booker"
    assert shown.details == ("6 November 1972", "Record MRN-56")
