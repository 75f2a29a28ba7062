"""Credentials in, Principal out."""
