"""Function apps as Azure Resource Manager sees them: the one that runs here can be restarted."""

from __future__ import annotations

from local.arm.calls import Call, Operation, Reply, not_found

VERSIONS = ("2024-04-01", "2023-12-01")
SITES = "Microsoft.Web/sites"


def restart(call: Call) -> Reply:
    """Restart the app: 200 at once, as the published contract has it, and it goes on meanwhile."""
    if call.arm.restart_app is None:
        raise not_found(SITES, call.parameters["name"], call.parameters["group"])
    call.arm.restart_app()
    return Reply(200)


_SITE = "/subscriptions/{sub}/resourceGroups/{group}/providers/" + SITES + "/{name}"
OPERATIONS = (Operation("POST", _SITE + "/restart", f"{SITES}/restart/action", VERSIONS, restart),)
