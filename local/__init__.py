"""A whole Azure on loopback, for `make run`, the tests and `func start`."""
