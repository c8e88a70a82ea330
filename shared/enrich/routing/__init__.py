"""Which rows go to which places: rules, the file that declares them, and delivery to each place by itself."""
