"""The pages that people see: sign-in, consent, their account, and what a clinic's staff need. docs/pages.md"""
