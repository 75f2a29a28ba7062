"""Search: extraction for the index, parsing, compiling to SQL. https://hl7.org/fhir/R4/search.html"""
