"""Is everything exported, and does it really arrive?"""
