"""What an invocation did: counts, metrics and traces."""
