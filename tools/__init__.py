"""Checks and generators that developers run; not part of the published package."""
