"""Defender Export: continuous export of Microsoft Defender for Cloud, declared once, enriched and proven."""

__version__ = "0.1.0"
