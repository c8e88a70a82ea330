"""Who did what: deeds of people, noted in storage with the deed and sent to a table from there."""
