"""FHIR changes as messages of HL7 v2 for other systems. docs/hl7-outbound.md"""
