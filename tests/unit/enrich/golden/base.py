"""What the golden records are about, and what their rows share."""

from __future__ import annotations

from typing import Any, NamedTuple

SUB = "0a1b2c3d-0000-4000-8000-000000000001"
VM = f"/subscriptions/{SUB}/resourceGroups/RG-Web/providers/Microsoft.Compute/virtualMachines/Web01"
REC = "4FB67663-9ab9-475d-b026-8c544cced439"
SECURITY = f"/subscriptions/{SUB}/providers/Microsoft.Security"
CONNECTOR = f"/subscriptions/{SUB}/resourcegroups/rg-clouds/providers/microsoft.security/securityconnectors/main"

ARRIVED = {
    "EnqueuedTime": "2026-11-10T11:30:00Z",
    "PartitionId": "3",
    "SequenceNumber": 42,
}
"""Of every row: where and when the event came, which the record does not say."""
ON_THE_MACHINE = {
    **ARRIVED,
    "Cloud": "Azure",
    "SubscriptionId": "0a1b2c3d-0000-4000-8000-000000000001",
    "ResourceId": VM.lower(),
    "ResourceGroup": "rg-web",
    "ResourceType": "microsoft.compute/virtualmachines",
}
ON_THE_SUBSCRIPTION = {
    **ARRIVED,
    "Cloud": "Azure",
    "SubscriptionId": "0a1b2c3d-0000-4000-8000-000000000001",
    "ResourceId": "/subscriptions/0a1b2c3d-0000-4000-8000-000000000001",
    "ResourceName": "0a1b2c3d-0000-4000-8000-000000000001",
    "ResourceType": "microsoft.resources/subscriptions",
}


class Golden(NamedTuple):
    """A record as sent, and the columns that have a value in its row; RecordKey, a digest, aside."""

    name: str
    record: dict[str, Any]
    row: dict[str, Any]
