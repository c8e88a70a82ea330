"""What is acknowledged, and so raises nothing until an agreed end: one file of mutes beside the export files."""
