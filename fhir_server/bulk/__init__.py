"""Loading many resources from files. https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-output-file-requests"""
