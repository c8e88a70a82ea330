"""Every trigger of the app, a few lines each: the table of contents.

The worker reads annotations as objects, so this module keeps `typing.List` and has no postponed annotations.
"""

import os

import azure.functions as func

from shared.web import api

# The level is fixed when the app is indexed: under Easy Auth the platform has already checked the caller.
_ENTRA = os.environ.get("AUTH_MODE", "key").lower() == "entra"

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS if _ENTRA else func.AuthLevel.FUNCTION)


@app.function_name("list_exports")
@app.route("exports", methods=["GET"])
async def list_exports(req: func.HttpRequest) -> func.HttpResponse:
    """List the stored export files."""
    return await api.respond("list_exports", req)


@app.function_name("get_export")
@app.route("exports/{name}", methods=["GET"])
async def get_export(req: func.HttpRequest) -> func.HttpResponse:
    """Read one export file."""
    return await api.respond("get_export", req)


@app.function_name("put_export")
@app.route("exports/{name}", methods=["PUT"])
async def put_export(req: func.HttpRequest) -> func.HttpResponse:
    """Store one export file."""
    return await api.respond("put_export", req)


@app.function_name("delete_export")
@app.route("exports/{name}", methods=["DELETE"])
async def delete_export(req: func.HttpRequest) -> func.HttpResponse:
    """Delete one export file."""
    return await api.respond("delete_export", req)


@app.function_name("validate_export")
@app.route("exports/validate", methods=["POST"])
async def validate_export(req: func.HttpRequest) -> func.HttpResponse:
    """Check an export file without storing it."""
    return await api.respond("validate_export", req)


@app.function_name("start_job")
@app.route("jobs", methods=["POST"])
async def start_job(req: func.HttpRequest) -> func.HttpResponse:
    """Queue a job."""
    return await api.respond("start_job", req)


@app.function_name("get_job")
@app.route("jobs/{id}", methods=["GET"])
async def get_job(req: func.HttpRequest) -> func.HttpResponse:
    """Read a job, or wait for it."""
    return await api.respond("get_job", req)


@app.function_name("list_jobs")
@app.route("jobs", methods=["GET"])
async def list_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """List the jobs."""
    return await api.respond("list_jobs", req)


@app.function_name("health")
@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say that the process is alive; `ready` looks deeper."""
    return func.HttpResponse('{"status": "alive"}', mimetype="application/json")


@app.function_name("ready")
@app.route("ready", methods=["GET"])
async def ready(req: func.HttpRequest) -> func.HttpResponse:
    """Ask everything the app depends on."""
    return await api.respond("ready", req)


@app.function_name("openapi")
@app.route("openapi.json", methods=["GET"])
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the HTTP API."""
    return await api.respond("openapi", req)
