"""A first export file from a few answers: what to send, from where, and to where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.exports.yaml_writer import write

CONTENTS: Final = {
    "alerts": "alerts",
    "recommendations": "recommendations",
    "secure-score": "secureScore",
    "regulatory-compliance": "regulatoryCompliance",
    "attack-paths": "attackPaths",
}
"""What an export can send, by the word on the command line, and its key in the file."""
_HUB: Final = "/providers/microsoft.eventhub/"


@dataclass(frozen=True)
class Answers:
    """What a first file is made of; `destination` is the resource id of an event hub or of a workspace."""

    name: str
    destination: str
    location: str
    contents: tuple[str, ...] = ("alerts",)
    minimum_severity: str = ""
    management_groups: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()


def first_file(answers: Answers) -> str:
    """The file's text; whether it is valid is for the checks to say."""
    scope: dict[str, Any] = {}
    if answers.management_groups:
        scope["managementGroups"] = list(answers.management_groups)
    if answers.subscriptions:
        scope["subscriptions"] = list(answers.subscriptions)
    hub = {"resourceId": answers.destination, "trustedService": True}
    workspace = {"resourceId": answers.destination}
    to_hub = _HUB in answers.destination.lower()
    document: dict[str, Any] = {
        "version": 1,
        "name": answers.name,
        "scope": scope,
        "automation": {"location": answers.location},
        "export": {CONTENTS[content]: _section(content, answers.minimum_severity) for content in answers.contents},
        "destination": {"eventHub": hub} if to_hub else {"logAnalyticsWorkspace": workspace},
    }
    return write(document)


def _section(content: str, severity: str) -> Any:
    return {"minimumSeverity": severity} if severity and content in {"alerts", "recommendations"} else True
