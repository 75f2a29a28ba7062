"""Who may do what: policy, pure, without I/O."""
