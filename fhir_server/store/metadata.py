"""What every table is declared in. https://docs.sqlalchemy.org/en/20/core/metadata.html"""

from __future__ import annotations

from sqlalchemy import MetaData, Text

metadata = MetaData()

TEXT_C = Text(collation="C")
"""Texts that are compared, by their bytes: an index on them serves row level security."""
