"""Parses and binds KQL against known schemas, with Microsoft's own language service in Node."""

from tools.kql.binder import Database, Diagnostic, Function, Text, bind
from tools.kql.schemas import resource_graph, workspace

__all__ = ["Database", "Diagnostic", "Function", "Text", "bind", "resource_graph", "workspace"]
