"""From what a message says to resources in the store. docs/hl7.md"""
