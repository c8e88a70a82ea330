"""Exported record -> row -> table, losing nothing."""
