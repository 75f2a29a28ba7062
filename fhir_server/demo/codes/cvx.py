"""CVX vaccines, their series, and the ages they are given at. https://hl7.org/fhir/R4/cvx.html"""

from __future__ import annotations

from fhir_server.demo.codes import Code

SYSTEM = "http://hl7.org/fhir/sid/cvx"

HEPATITIS_B = Code(SYSTEM, "08", "Hep B, adolescent or pediatric")
ROTAVIRUS = Code(SYSTEM, "119", "rotavirus, monovalent")
DTAP = Code(SYSTEM, "20", "DTaP")
HIB = Code(SYSTEM, "49", "Hib (PRP-OMP)")
PNEUMOCOCCAL_CONJUGATE = Code(SYSTEM, "133", "Pneumococcal conjugate PCV 13")
POLIO = Code(SYSTEM, "10", "IPV")
INFLUENZA = Code(SYSTEM, "140", "Influenza, seasonal, injectable, preservative free")
MMR = Code(SYSTEM, "03", "MMR")
VARICELLA = Code(SYSTEM, "21", "varicella")
HEPATITIS_A = Code(SYSTEM, "83", "Hep A, ped/adol, 2 dose")
TDAP = Code(SYSTEM, "115", "Tdap")
TD = Code(SYSTEM, "113", "Td (adult) preservative free")
MENINGOCOCCAL = Code(SYSTEM, "114", "meningococcal MCV4P")
PNEUMOCOCCAL_POLYSACCHARIDE = Code(SYSTEM, "33", "pneumococcal polysaccharide vaccine, 23 valent")
ZOSTER = Code(SYSTEM, "187", "zoster vaccine recombinant")

CHILDHOOD: dict[int, tuple[tuple[Code, int], ...]] = {
    0: ((HEPATITIS_B, 1),),
    2: ((HEPATITIS_B, 2), (ROTAVIRUS, 1), (DTAP, 1), (HIB, 1), (PNEUMOCOCCAL_CONJUGATE, 1), (POLIO, 1)),
    4: ((ROTAVIRUS, 2), (DTAP, 2), (HIB, 2), (PNEUMOCOCCAL_CONJUGATE, 2), (POLIO, 2)),
    6: ((HEPATITIS_B, 3), (DTAP, 3), (PNEUMOCOCCAL_CONJUGATE, 3), (POLIO, 3)),
    12: ((HIB, 3), (PNEUMOCOCCAL_CONJUGATE, 4), (MMR, 1), (VARICELLA, 1), (HEPATITIS_A, 1)),
    15: ((DTAP, 4),),
    18: ((HEPATITIS_A, 2),),
    48: ((DTAP, 5), (POLIO, 4), (MMR, 2), (VARICELLA, 2)),
    132: ((TDAP, 1), (MENINGOCOCCAL, 1)),
}
"""Vaccine and dose number due at an age in months: the routine series of the US childhood schedule.

Source: https://www.cdc.gov/vaccines/hcp/imz-schedules/child-adolescent-age.html
"""
