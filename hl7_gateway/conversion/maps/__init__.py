"""Which field says which element: facts of the guide, and what it lacks. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""
