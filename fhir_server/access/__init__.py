"""Who may do what: policy, pure, without I/O. docs/architecture.md, "Access" """
