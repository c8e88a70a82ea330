"""Microsoft.Security/locations/alerts: the operation that simulates alerts, and the list that shows them.

Source: alerts.json of 2022-01-01 in azure-rest-api-specs and the client made from it: 202 with a Location to ask, and
no content once it is done.  Whether a location other than the subscription's own, or a plan that is off, is refused is
not published: both are taken here.
"""

from __future__ import annotations

import uuid
from typing import Any

from local.arm.calls import ArmError, Call, Operation, Reply, check_registered
from local.sample_alerts import SAMPLES

_VERSIONS = ("2022-01-01",)
_LOCATION = "/subscriptions/{sub}/providers/Microsoft.Security/locations/{location}"
_SIMULATE = f"{_LOCATION}/alerts/default/simulate"
_RESULT = f"{_LOCATION}/operationResults/{{operation}}"
_ALERTS = f"{_LOCATION}/alerts"
_LOCATIONS = "/subscriptions/{sub}/providers/Microsoft.Security/locations"
_LOCATIONS_VERSIONS = ("2015-06-01-preview",)
HOME = "centralus"
"""Where the alerts of every subscription lie here, as in the published examples."""
_BUNDLES = {name.lower(): name for name in SAMPLES}


def simulate(call: Call) -> Reply:
    """Simulate the alerts of some bundles."""
    check_registered(call)
    bundles = _bundles(call.document().get("properties"))
    location = call.parameters["location"]
    call.arm.continuous_export.simulate(call.subscription, location, bundles)
    operation = str(uuid.uuid4())
    call.arm.operation_results.add(operation)
    path = _RESULT.format(sub=call.subscription, location=location, operation=operation)
    where = f"{call.arm.endpoint}{path}?api-version={call.version}"
    return Reply(202, None, {"Location": where, "Retry-After": "0"})


def operation_result(call: Call) -> Reply:
    """Whether it is done: no content once it is."""
    if call.parameters["operation"] not in call.arm.operation_results:
        raise ArmError(404, "NotFound", f"There is no operation '{call.parameters['operation']}'.")
    return Reply(204)


def list_alerts(call: Call) -> Reply:
    """The alerts at a location, the newest first; here only those that were simulated."""
    check_registered(call)
    here = (call.subscription.lower(), call.parameters["location"].lower())
    found = [each for each in call.arm.continuous_export.alerts if (each[0].lower(), each[1].lower()) == here]
    return Reply(200, {"value": [_listed(*each) for each in reversed(found)]})


def list_locations(call: Call) -> Reply:
    """Where a subscription's alerts lie."""
    path = f"/subscriptions/{call.subscription}/providers/Microsoft.Security/locations/{HOME}"
    kind = "Microsoft.Security/locations"
    return Reply(200, {"value": [{"id": path, "name": HOME, "type": kind, "properties": {"homeRegionName": HOME}}]})


def _listed(subscription: str, location: str, record: dict[str, Any]) -> dict[str, Any]:
    """An alert in the contract's shape, which names and places some members otherwise than the exported one."""
    name = record["SystemAlertId"]
    path = f"/subscriptions/{subscription}/providers/Microsoft.Security/locations/{location}/alerts/{name}"
    properties = {
        "alertType": record["AlertType"],
        "systemAlertId": name,
        "alertDisplayName": record["AlertDisplayName"],
        "severity": record["Severity"],
        "status": "Active",
        "timeGeneratedUtc": record["TimeGenerated"],
        "startTimeUtc": record["StartTimeUtc"],
        "compromisedEntity": record["CompromisedEntity"],
    }
    return {"id": path, "name": name, "type": "Microsoft.Security/Locations/alerts", "properties": properties}


def _bundles(properties: Any) -> list[str]:
    given = properties if isinstance(properties, dict) else {}
    bundles = given.get("bundles")
    if str(given.get("kind")).lower() != "bundles":
        raise ArmError(400, "BadRequest", "properties.kind must be Bundles.", target="properties.kind")
    if not isinstance(bundles, list) or not bundles or any(str(name).lower() not in _BUNDLES for name in bundles):
        raise ArmError(
            400,
            "BadRequest",
            f"properties.bundles must be a list of: {', '.join(SAMPLES)}.",
            target="properties.bundles",
        )
    return [_BUNDLES[name.lower()] for name in bundles]


OPERATIONS = (
    Operation("GET", _LOCATIONS, "Microsoft.Security/locations/read", _LOCATIONS_VERSIONS, list_locations),
    Operation("GET", _ALERTS, "Microsoft.Security/locations/alerts/read", _VERSIONS, list_alerts),
    Operation("POST", _SIMULATE, "Microsoft.Security/locations/alerts/simulate/action", _VERSIONS, simulate),
    Operation("GET", _RESULT, "Microsoft.Security/locations/operationResults/read", _VERSIONS, operation_result),
)
