"""A Functions host over the public `azure.functions` API: it loads an app and runs its triggers as Azure does."""

from local.host.host import FunctionsHost

__all__ = ["FunctionsHost"]
