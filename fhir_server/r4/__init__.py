"""FHIR R4 itself: definitions, JSON, references, instants; imports nothing else of the product. https://hl7.org/fhir/R4/"""
