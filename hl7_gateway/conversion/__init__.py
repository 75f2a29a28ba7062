"""From a message to what it says about FHIR resources: pure, no I/O. docs/hl7.md"""
