"""The audit trail: written down before an answer is sent, chained, served, verified. docs/audit.md"""
