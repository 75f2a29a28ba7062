"""The RESTful interactions, one file each. https://hl7.org/fhir/R4/http.html"""
