"""Where the guide's vocabulary maps say nothing, or would do harm. docs/hl7.md, "Where the guide is not followed" """

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_GENDER: Final = "http://hl7.org/fhir/administrative-gender"
_OBSERVATION: Final = "http://hl7.org/fhir/observation-status"
_REPORT: Final = "http://hl7.org/fhir/diagnostic-report-status"
_REQUEST: Final = "http://hl7.org/fhir/request-status"
_APPOINTMENT: Final = "http://hl7.org/fhir/appointmentstatus"
_NAME: Final = "http://hl7.org/fhir/name-use"
_ADDRESS: Final = "http://hl7.org/fhir/address-use"
_CONTACT: Final = "http://hl7.org/fhir/contact-point-use"

CORRECTIONS: Final[Mapping[str, Mapping[str, tuple[str, str, str]]]] = {
    "AdministrativeSex": {
        "A": ("other", _GENDER, "Other"),
        "N": ("other", _GENDER, "Other"),
        "O": ("other", _GENDER, "Other"),
        "U": ("unknown", _GENDER, "Unknown"),
        "X": ("other", _GENDER, "Other"),
    },
    # A result that is entered but not verified must not look final; one that is deleted is an error, never absent.
    "ObservationResultStatusCodesInterpretation": {
        "A": ("amended", _OBSERVATION, "Amended"),
        "B": ("amended", _OBSERVATION, "Amended"),
        "I": ("registered", _OBSERVATION, "Registered"),
        "N": ("final", _OBSERVATION, "Final"),
        "O": ("registered", _OBSERVATION, "Registered"),
        "R": ("preliminary", _OBSERVATION, "Preliminary"),
        "S": ("preliminary", _OBSERVATION, "Preliminary"),
        "U": ("final", _OBSERVATION, "Final"),
        "V": ("final", _OBSERVATION, "Final"),
        "W": ("entered-in-error", _OBSERVATION, "Entered in Error"),
        "X": ("cancelled", _OBSERVATION, "Cancelled"),
    },
    "ResultStatus[Non-Queries]": {
        "A": ("partial", _REPORT, "Partial"),
        "M": ("preliminary", _REPORT, "Preliminary"),
        "N": ("registered", _REPORT, "Registered"),
        "Y": ("unknown", _REPORT, "Unknown"),
        "Z": ("unknown", _REPORT, "Unknown"),
        "D": ("entered-in-error", _REPORT, "Entered in Error"),
    },
    # The guide leaves a request that is being cancelled active until it is answered: whoever looks at it must know.
    "OrderControlCode[ServiceRequest.status]": {
        "CA": ("revoked", _REQUEST, "Revoked"),
        "OC": ("revoked", _REQUEST, "Revoked"),
        "OD": ("revoked", _REQUEST, "Revoked"),
        "HD": ("on-hold", _REQUEST, "On Hold"),
        "OH": ("on-hold", _REQUEST, "On Hold"),
        "HR": ("on-hold", _REQUEST, "On Hold"),
        "RL": ("active", _REQUEST, "Active"),
        "NW": ("active", _REQUEST, "Active"),
        "OK": ("active", _REQUEST, "Active"),
        "SN": ("active", _REQUEST, "Active"),
        "RE": ("active", _REQUEST, "Active"),
        "XO": ("active", _REQUEST, "Active"),
        "RO": ("active", _REQUEST, "Active"),
    },
    "OrderStatus": {"A": ("active", _REQUEST, "Active")},
    "FillerStatusCodes[Appointment]": {
        "Blocked": ("booked", _APPOINTMENT, "Booked"),
        "Discontinued": ("cancelled", _APPOINTMENT, "Cancelled"),
        "Overbook": ("booked", _APPOINTMENT, "Booked"),
    },
    "NameType": {
        "B": ("maiden", _NAME, "Name changed for Marriage"),
        "C": ("official", _NAME, "Official"),
        "P": ("nickname", _NAME, "Nickname"),
        "T": ("temp", _NAME, "Temp"),
    },
    "AddressType[Use]": {
        "P": ("home", _ADDRESS, "Home"),
        "L": ("home", _ADDRESS, "Home"),
        "V": ("temp", _ADDRESS, "Temporary"),
    },
    "TelecommunicationUseCode": {
        "ORN": ("home", _CONTACT, "Home"),
        "VHN": ("temp", _CONTACT, "Temp"),
        "BPN": ("work", _CONTACT, "Work"),
    },
}
