"""The HTTP side: translation only."""
