"""Bytes on the wire: frames, character sets, acknowledgments, sockets. docs/hl7.md"""
