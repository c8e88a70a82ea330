"""Reads Bicep and checks, without a cloud, that every reference in it resolves."""

from tools.bicep.check import Finding, check_folder, check_parameter_file
from tools.bicep.document import Document, parse

__all__ = ["Document", "Finding", "check_folder", "check_parameter_file", "parse"]
