"""The checks of an acceptance, by the service that they ask."""
