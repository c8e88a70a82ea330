"""Live automations written as export files."""
