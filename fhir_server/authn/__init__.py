"""Credentials in, Principal out. https://www.rfc-editor.org/rfc/rfc6750"""
