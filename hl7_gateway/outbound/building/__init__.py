"""Resources as segments of HL7 v2. docs/hl7-outbound.md"""
