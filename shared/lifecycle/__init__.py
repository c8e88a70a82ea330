"""When records end: what the tables hold as open, what Resource Graph has now, and what follows from the two."""
