"""Tenants: the clinics that share a server and nothing else. docs/architecture.md, "Rows" """
