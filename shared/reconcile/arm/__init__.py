"""Requests to Azure Resource Manager: the client, its pacing, and what its refusals mean."""
