"""Tenants: the clinics that share a server and nothing else."""
