"""Data types of HL7 v2 as those of FHIR. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""
