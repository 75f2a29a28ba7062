"""Every story by its name. https://hl7.org/fhir/R4/clinicalsummary-module.html"""

from __future__ import annotations

from fhir_server.demo.stories import (
    Story,
    asthma,
    copd,
    depression,
    diabetes,
    hypertension,
    hypothyroidism,
    kidney_disease,
    motor_vehicle,
    osteoarthritis,
    pregnancy,
    well_adult,
    well_child,
)

STORIES: dict[str, Story] = {
    "asthma": asthma.STORY,
    "copd": copd.STORY,
    "depression": depression.STORY,
    "diabetes": diabetes.STORY,
    "hypertension": hypertension.STORY,
    "hypothyroidism": hypothyroidism.STORY,
    "kidney_disease": kidney_disease.STORY,
    "motor_vehicle": motor_vehicle.STORY,
    "osteoarthritis": osteoarthritis.STORY,
    "pregnancy": pregnancy.STORY,
    "well_adult": well_adult.STORY,
    "well_child": well_child.STORY,
}
