"""Desired against live automations: differences, the plan, its rendering and its saved form."""
