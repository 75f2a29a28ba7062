"""The chain of one tenant's records: each hash depends on all records before it. docs/audit.md, "The chain"

PostgreSQL makes the hashes when it appends (fhir_audit_append in migrations/versions/0011_audit.sql); here they are
made again, and so they are in scripts/verify_audit.py, which shares no code with either.
"""

from __future__ import annotations

import hashlib


def genesis(tenant_id: int) -> bytes:
    """What stands before a tenant's first record."""
    return hashlib.sha256(f"fhir-server audit chain {tenant_id}".encode()).digest()


def link(previous: bytes, seq: int, record: str) -> bytes:
    """The hash of record number ``seq``, after the one whose hash is ``previous``."""
    return hashlib.sha256(previous + seq.to_bytes(8) + record.encode()).digest()
