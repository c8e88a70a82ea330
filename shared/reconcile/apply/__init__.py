"""A plan carried out: requests to Azure Resource Manager, pacing, the run's lease, refusals."""
