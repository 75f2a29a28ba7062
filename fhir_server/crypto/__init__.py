"""Hashing and, later, encryption; pure."""
