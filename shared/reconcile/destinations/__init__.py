"""Where exports send: preflight checks, and the keys of event hubs."""
