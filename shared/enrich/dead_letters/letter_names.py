"""What a blob of dead letters may be called, so that nothing else of the container is ever meant."""

from __future__ import annotations

import re
from typing import Final

LETTERS_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}(/(?!\.{1,2}/)[\w.-]{1,200}){2,3}(?<=\.ndjson\.gz)", re.ASCII)
"""`day/reason/place/blob`; earlier releases left the place out."""
