"""SNOMED CT: procedures, allergies, plans, routes, kinds of encounter. https://hl7.org/fhir/R4/snomedct.html"""

from __future__ import annotations

from fhir_server.demo.codes import Code

SYSTEM = "http://snomed.info/sct"


def _snomed(code: str, display: str) -> Code:
    return Code(SYSTEM, code, display)


# Kinds of encounter
CHECK_UP = _snomed("185349003", "Encounter for check up")
PROBLEM_VISIT = _snomed("185347001", "Encounter for problem")
SYMPTOM_VISIT = _snomed("185345009", "Encounter for symptom")
FOLLOW_UP = _snomed("390906007", "Follow-up encounter")
WELL_CHILD_VISIT = _snomed("410620009", "Well child visit")
PRENATAL_INITIAL = _snomed("424441002", "Prenatal initial visit")
PRENATAL_VISIT = _snomed("424619006", "Prenatal visit")
POSTNATAL_VISIT = _snomed("169762003", "Postnatal visit")
EMERGENCY_ADMISSION = _snomed("50849002", "Emergency room admission")
HOSPITAL_ADMISSION = _snomed("32485007", "Hospital admission")

# Procedures
SPIROMETRY = _snomed("127783003", "Spirometry")
PULMONARY_REHABILITATION = _snomed("15081005", "Pulmonary rehabilitation")
KNEE_XRAY = _snomed("74016001", "Plain X-ray of knee")
CLAVICLE_XRAY = _snomed("168594001", "Plain X-ray of clavicle")
CHEST_XRAY = _snomed("399208008", "Plain chest X-ray")
PHYSICAL_THERAPY = _snomed("91251008", "Physical therapy procedure")
COGNITIVE_THERAPY = _snomed("228557008", "Cognitive and behavioral therapy")
FETAL_ULTRASOUND = _snomed("169230002", "Ultrasound scan for fetal viability")
CHILDBIRTH = _snomed("66348005", "Childbirth")
DEPRESSION_SCREENING = _snomed("171207006", "Depression screening")
BLOOD_TEST = _snomed("396550006", "Blood test")
GENERAL_EXAMINATION = _snomed("162673000", "General examination of patient")
ORTHOPEDIC_REFERRAL = _snomed("183545006", "Referral to orthopedic service")

# Plans of care
DIABETES_PLAN = _snomed("698360004", "Diabetes self management plan")
DIABETIC_DIET = _snomed("160670007", "Diabetic diet")
HYPERTENSION_EDUCATION = _snomed("443402002", "Lifestyle education regarding hypertension")
DASH_DIET = _snomed("1151000175103", "Dietary approaches to stop hypertension diet")
EXERCISE_THERAPY = _snomed("229065009", "Exercise therapy")
STRESS_MANAGEMENT = _snomed("226060000", "Stress management")
ANTENATAL_CARE = _snomed("134435003", "Routine antenatal care")
ANTENATAL_EDUCATION = _snomed("135892000", "Antenatal education")
COPD_PLAN = _snomed("412776001", "Chronic obstructive pulmonary disease clinical management plan")
SMOKING_CESSATION = _snomed("710081004", "Smoking cessation therapy")
ASTHMA_PLAN = _snomed("699728000", "Asthma action plan")
ALLERGY_EDUCATION = _snomed("58332002", "Allergy education")
MUSCULOSKELETAL_CARE = _snomed("408869004", "Musculoskeletal care")
CARE_PLAN = _snomed("734163000", "Care plan")

# Allergies
PEANUT_ALLERGY = _snomed("91935009", "Allergy to peanut")
GRASS_POLLEN_ALLERGY = _snomed("418689008", "Allergy to grass pollen")
SHELLFISH_ALLERGY = _snomed("300913006", "Allergy to shellfish")
LATEX_ALLERGY = _snomed("300916003", "Latex allergy")
PENICILLIN_ALLERGY = _snomed("91936005", "Allergy to penicillin")
DUST_MITE_ALLERGY = _snomed("232350006", "House dust mite allergy")
HIVES = _snomed("247472004", "Wheal")
ANAPHYLAXIS = _snomed("39579001", "Anaphylaxis")
RHINITIS = _snomed("70076002", "Rhinitis")

# Smoking
NEVER_SMOKED = _snomed("266919005", "Never smoked tobacco")
EX_SMOKER = _snomed("8517006", "Ex-smoker")
DAILY_SMOKER = _snomed("449868002", "Smokes tobacco daily")

# Body sites, routes, specimens, devices
ORAL = _snomed("26643006", "Oral route")
INHALED = _snomed("447694001", "Respiratory tract route")
INTRAMUSCULAR = _snomed("78421000", "Intramuscular route")
RIGHT_KNEE = _snomed("6757004", "Right knee region structure")
LEFT_UPPER_ARM = _snomed("368208006", "Left upper arm structure")
RIGHT_UPPER_ARM = _snomed("368209003", "Right upper arm structure")
LEFT_CLAVICLE = _snomed("722720004", "Bone structure of left clavicle")
BLOOD = _snomed("119297000", "Blood specimen")
URINE = _snomed("122575003", "Urine specimen")
GLUCOSE_METER = _snomed("337414009", "Blood glucose meter")
PEAK_FLOW_METER = _snomed("334990001", "Peak flow meter")

# People
GENERAL_PRACTITIONER = _snomed("62247001", "Family medicine specialist")
NURSE = _snomed("224535009", "Registered nurse")
PATIENT = _snomed("116154003", "Patient")

# Specialties
FAMILY_MEDICINE = _snomed("419772000", "Family practice")
INTERNAL_MEDICINE = _snomed("419192003", "Internal medicine")
PEDIATRICS = _snomed("394537008", "Pediatric specialty")
OBSTETRICS = _snomed("394586005", "Gynecology")
ORTHOPEDICS = _snomed("394801008", "Trauma and orthopedics")
PSYCHIATRY = _snomed("394587001", "Psychiatry")
EMERGENCY_MEDICINE = _snomed("773568002", "Emergency medicine")
PULMONOLOGY = _snomed("418112009", "Pulmonary medicine")
PHYSIOTHERAPY = _snomed("722138006", "Physical therapy")
