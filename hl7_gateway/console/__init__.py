"""Pages for whoever looks after a clinic's messages. docs/hl7.md, "On a page" """
