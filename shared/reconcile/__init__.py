"""Desired exports against live automations: discover, plan, apply, report."""
