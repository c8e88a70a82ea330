"""Acceptance: what a real deployment shows of the assumptions that the local Azure rests on."""
