"""News for people: what went wrong and what is well again, sent to whom a file of rules names."""
