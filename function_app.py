"""Every trigger of the app, a few lines each: the table of contents.

The worker reads annotations as objects, so this module keeps `typing.List` and has no postponed annotations.
"""

import os

import azure.functions as func

# The level is fixed when the app is indexed: under Easy Auth the platform has already checked the caller.
_ENTRA = os.environ.get("AUTH_MODE", "key").lower() == "entra"

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS if _ENTRA else func.AuthLevel.FUNCTION)


@app.function_name("health")
@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say that the process is alive; `ready` looks deeper."""
    return func.HttpResponse('{"status": "alive"}', mimetype="application/json")
