"""FT1, ACC: ChargeItem, Claim; BAR: Account. docs/hl7.md

A charge stands for itself (ChargeItem); the charges of a message together are what is claimed of the insurance (Claim).
"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.identifiers import pair
from hl7_gateway.conversion.draft import DRAFT
from hl7_gateway.conversion.families.claims import acc, finish_claims
from hl7_gateway.conversion.families.clinical import key_of, pr1
from hl7_gateway.conversion.families.family import Family, Handler
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.families.results import result_obr
from hl7_gateway.conversion.families.visit import pv1
from hl7_gateway.conversion.maps.finance import FT1_CHARGE_ITEM
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

_STATUS: Final = {
    "CG": "billable",
    "CD": "aborted",
    "PY": "not-billable",
    "AJ": "not-billable",
    "CO": "not-billable",
}
"""Table 0017 as https://hl7.org/fhir/R4/valueset-chargeitem-status.html.

A credit takes a charge back: it was no error that the charge was there, but it is not to be billed, neither the charge
of the same number nor the credit itself. Payments, adjustments and co-payments are told, and are no charges.
"""

_ENDED: Final = frozenset({"P02", "P06"})


def ft1(walk: Walk, segment: Segment) -> None:
    """A charge, credit or payment: known by its number, of which a bare one is of the patient, the day and the code."""
    patient = walk.current.get("Patient")
    if patient is None or not any(segment[field] for field in (2, 7, 25)):
        return
    made = walk.draft("ChargeItem")
    walk.current["ChargeItem"] = walk.current["noted"] = made
    number = segment.first(2)
    known = pair(number, walk)
    if known is not None and (number.component(4) or number.component(6)):
        made.identifiers = [known]
    what = key_of(segment, 7) or key_of(segment, 25)
    alone = ("FT1", DRAFT + patient.name, segment.text(4).strip(), what)
    if known is not None:
        made.natural = (*alone, known[1])
    else:
        encounter = walk.current.get("Encounter")
        visit = DRAFT + encounter.name if encounter is not None else ""
        made.natural = (*alone, visit, segment.text(1).strip())
    FT1_CHARGE_ITEM.apply(segment, made, walk)
    if segment[7]:
        # The procedure code is the charge's only where that has none: what it says, or takes away, is not of this one.
        made.stated = [said for said in made.stated if said.slot != "FT1-25"]
    walk.at(segment)
    if not known_of(made, "code"):
        walk.state(made, "code", {"text": "unknown"}, slot="FT1-7", initial=True)
    walk.state(made, "subject", patient.reference, slot="FT1#subject")
    for path, name in (("context", "Encounter"), ("account", "Account")):
        other = walk.current.get(name)
        if other is not None:
            walk.state(made, path, other.reference, slot=f"FT1#{path}")
    dispensed = walk.current.get("MedicationDispense")
    if dispensed is not None:
        walk.gather(made, "service", dispensed.reference, {"": 42}, "FT1#service")
    _status(walk, segment)


def _charge(walk: Walk, segment: Segment) -> None:
    """A charge, which the orders, results and procedures that follow are for."""
    for name in ("ServiceRequest", "DiagnosticReport", "Procedure", "noted"):
        walk.current.pop(name, None)
    ft1(walk, segment)


def _status(walk: Walk, segment: Segment) -> None:
    made = walk.current["ChargeItem"]
    sent = segment.text(6).strip().upper()
    walk.at(segment, 6)
    if sent in _STATUS:
        walk.state(made, "status", _STATUS[sent], {"": 1})
        return
    if sent:
        walk.warn("This kind of transaction is not in table 0017.")
    walk.state(made, "status", "unknown" if sent else "billable", slot="FT1-6", initial=True)


def _procedure(walk: Walk, segment: Segment) -> None:
    """A procedure, which the charge before it is for."""
    before = walk.current.pop("Procedure", None)
    pr1(walk, segment)
    made, charge = walk.current.get("Procedure"), walk.current.get("ChargeItem")
    if made is None and before is not None:
        walk.current["Procedure"] = before
    elif made is not None and charge is not None:
        walk.at(segment, 3)
        walk.gather(charge, "service", made.reference, {"": 3}, "PR1#service")


def _visit(walk: Walk, segment: Segment) -> None:
    """A visit, which is charged to the account."""
    pv1(walk, segment)
    encounter, account = walk.current.get("Encounter"), walk.current.get("Account")
    if encounter is not None and account is not None:
        walk.at(segment)
        walk.state(encounter, "account", account.reference, slot="PV1#account")


def _finish_accounts(walk: Walk) -> None:
    """P01 opens accounts, P02 purges them, P06 ends them. The others leave their status as it is."""
    walk.at(walk.message.header)
    if walk.event != "P01" and walk.event not in _ENDED:
        return
    for draft in walk.conversion.drafts:
        if draft.type == "Account" and not draft.stub:
            status = "inactive" if walk.event in _ENDED else "active"
            draft.stated = [said for said in draft.stated if said.path != "status"]
            walk.state(draft, "status", status, slot="PID-18#status")


_OWN: Final[dict[str, Handler]] = {"PV1": _visit, "PR1": _procedure}

CHARGES: Final = Family("charges", {**_OWN, "ACC": acc, "FT1": _charge, "OBR": result_obr}, finish_claims)
ACCOUNTS: Final = Family("accounts", _OWN, _finish_accounts)
