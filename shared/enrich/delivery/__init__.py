"""Rows to accepted request bodies: packing, upload, concurrency, forwarding."""
