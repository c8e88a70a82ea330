"""The casings in which a record may come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Case = Callable[[str], str]


@dataclass(frozen=True)
class Casing:
    """How names are spelt; `dollar_type` for JSON.NET, which also names .NET types and leaves the enrichment alone."""

    name: str
    case: Case
    dollar_type: bool = False

    def value(self, value: Any) -> Any:
        """A value that a column passes on as sent."""
        return recased(value, self.case)

    def record(self, record: dict[str, Any]) -> dict[str, Any]:
        """A whole record."""
        if not self.dollar_type:
            return dict(self.value(record))
        members = {name: value if is_enrichment(name) else self.value(value) for name, value in record.items()}
        if "properties" in members:
            members["properties"] = {"$type": "Contracts.Properties, Contracts", **members["properties"]}
        names = {name: name if is_enrichment(name) else self.case(name) for name in members}
        return {"$type": "Contracts.Record, Contracts", **{names[name]: value for name, value in members.items()}}


def recased(value: Any, case: Case) -> Any:
    """The same JSON with every name in another casing."""
    if isinstance(value, dict):
        return {case(name): recased(inner, case) for name, inner in value.items()}
    return [recased(item, case) for item in value] if isinstance(value, list) else value


def is_enrichment(name: str) -> bool:
    """Whether a member is what the exporter adds to a record."""
    return name.endswith("EventDataEnrichment")


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


CASINGS = (
    Casing("as sent", str),
    Casing("Pascal", _pascal, dollar_type=True),
    Casing("UPPER", str.upper),
    Casing("lower", str.lower),
)
