"""How each family of resources is written into a chart. https://hl7.org/fhir/R4/resourcelist.html"""
