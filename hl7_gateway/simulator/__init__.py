"""A hospital that does not exist, and the messages that it would send. docs/hl7.md"""
