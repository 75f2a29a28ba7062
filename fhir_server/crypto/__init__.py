"""Hashing and, later, encryption; pure. docs/decisions/0001-rows-and-index-tables.md"""
