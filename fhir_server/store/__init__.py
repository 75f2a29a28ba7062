"""Every SQL statement of the product. docs/architecture.md, "Rows" """
