"""The search parameter types, each with both halves: extract() and where(). https://hl7.org/fhir/R4/search.html#ptypes"""
