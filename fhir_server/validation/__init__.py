"""Is this resource valid R4? https://hl7.org/fhir/R4/validation.html"""
