"""What a feed's own mapping changes of how its messages are read. docs/hl7-overrides.md"""
