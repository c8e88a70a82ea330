"""Columns that are worked out rather than copied, a module for each theme."""
