"""Code systems and value sets, as far as searching by them goes. https://hl7.org/fhir/R4/terminology-module.html"""
