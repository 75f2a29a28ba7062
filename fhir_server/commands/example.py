"""How a command shows an example below its help. https://click.palletsprojects.com/en/stable/documentation/"""

from __future__ import annotations


def example(line: str) -> str:
    """An epilog that shows ``line`` unwrapped, so that it can be pasted."""
    return f"\b\nExample:\n  {line}"
