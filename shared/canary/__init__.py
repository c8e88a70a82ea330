"""Proof on demand: a simulated alert followed from Defender for Cloud to its table and beyond."""
