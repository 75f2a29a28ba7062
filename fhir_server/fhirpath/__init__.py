"""FHIRPath, compiled. https://hl7.org/fhirpath/N1/"""
