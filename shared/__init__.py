"""Defender Export: continuous export of Microsoft Defender for Cloud, declared once, enriched and proven."""

__version__ = "1.0.0rc1"
