"""A FHIR R4 server: tenants, clinical resources in PostgreSQL, SMART on FHIR. https://hl7.org/fhir/R4/"""

__version__ = "0.1.0"
