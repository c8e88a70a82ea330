"""A plan carried out, under the lease of the run."""
