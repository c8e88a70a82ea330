"""Records that could not be delivered: their format, their store, their replay."""
