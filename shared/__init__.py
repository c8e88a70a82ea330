"""Defender Export: continuous export of Microsoft Defender for Cloud, declared once, enriched and proven."""

from functools import cache
from pathlib import Path

__version__ = "1.0.0rc1"


@cache
def commit() -> str:
    """The commit that a released package was built from; empty in a working copy."""
    note = Path(__file__).with_name("COMMIT")
    return note.read_text(encoding="ascii").strip() if note.is_file() else ""
