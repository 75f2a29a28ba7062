"""The kinds of relation between a person and a patient, as care_relation holds them. docs/care.md"""

from __future__ import annotations

GENERAL_PRACTITIONER = 1
CARE_TEAM = 2
ENCOUNTER = 3
APPOINTMENT = 4
REFERRAL = 5
PERFORMER = 6
ASSIGNMENT = 7
MATTER = 8
BREAK_GLASS = 9

NAMES = {
    GENERAL_PRACTITIONER: "general practitioner",
    CARE_TEAM: "care team",
    ENCOUNTER: "encounter",
    APPOINTMENT: "appointment",
    REFERRAL: "referral",
    PERFORMER: "performer of a request",
    ASSIGNMENT: "assignment",
    MATTER: "matter",
    BREAK_GLASS: "break-glass",
}

OWN_PATIENTS = (GENERAL_PRACTITIONER, CARE_TEAM, ENCOUNTER, APPOINTMENT, PERFORMER, ASSIGNMENT)
"""By which of them a patient is a physician's own."""
