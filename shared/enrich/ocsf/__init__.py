"""Rows as events of the Open Cybersecurity Schema Framework, for receivers that speak it."""
