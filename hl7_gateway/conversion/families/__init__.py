"""What segments mean together, by kind of message. https://hl7.org/fhir/uv/v2mappings/message_maps.html"""
