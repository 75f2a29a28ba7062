"""The commands of `hl7-gateway`, one in each file. docs/hl7.md"""
