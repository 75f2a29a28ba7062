"""How far a message is as its version of the standard says. docs/hl7.md"""
