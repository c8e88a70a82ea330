"""Exported records to rows."""
