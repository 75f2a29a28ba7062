"""Receives HL7 v2 messages over MLLP and turns them into FHIR. https://www.hl7.org/implement/standards/product_brief.cfm?product_id=185"""
