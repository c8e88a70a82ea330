"""What `python -m local` prints: each endpoint with a curl call that can be pasted."""

from __future__ import annotations

from collections.abc import Iterator

from local.stack import LocalAzure
from shared.enrich.tables import BY_KIND

_TOKEN = """export CURL_CA_BUNDLE={ca}
  token() {{ curl -sS -H 'X-IDENTITY-HEADER: {header}' \
"{identity}/msi/token?api-version=2019-08-01&client_id={client}&resource=$1" \
| sed 's/.*"access_token": "\\([^"]*\\)".*/\\1/'; }}"""


def introduction(azure: LocalAzure) -> Iterator[str]:
    """The lines that people see once everything runs."""
    yield from _first_steps(azure)
    yield "The local Azure is up. Each call can be pasted into a shell, after these two lines:"
    yield ""
    settings = azure.app_settings()
    yield "  " + _TOKEN.format(
        ca=azure.certificates.ca_file,
        header=settings["IDENTITY_HEADER"],
        identity=azure.identity.endpoint,
        client=settings["AZURE_CLIENT_ID"],
    )
    endpoints = azure.endpoints()
    for name, call in _calls(azure, endpoints):
        yield ""
        yield f"{name:10} {endpoints[name]}"
        yield f"  {call}"
    yield ""
    if "query" in endpoints:
        yield "SQL over what has arrived: python -m local query \"SELECT count(*) FROM 'DefenderAlerts_CL'\""
    yield "A command with the app's own settings: python -m local exec defender-export plan --direct"
    yield "Ctrl-C ends it."


def _first_steps(azure: LocalAzure) -> Iterator[str]:
    """The page's address, and three commands to try."""
    if azure.app is None:
        return
    yield f"The operations page: {azure.app.url}/api/operations?code={azure.app.host_key}"
    yield ""
    yield "To try in another shell, in .venv/bin:"
    yield f"  DEFENDER_EXPORT_KEY={azure.app.host_key} defender-export use {azure.app.url}"
    yield "  defender-export coverage"
    yield "  python -m local send 200      # sample records; a row each"
    yield ""


def _calls(azure: LocalAzure, endpoints: dict[str, str]) -> Iterator[tuple[str, str]]:
    def bearer(resource: str) -> str:
        return f'-H "Authorization: Bearer $(token {resource})"'

    storage = f"curl -sS {bearer('https://storage.azure.com')} -H 'x-ms-version: 2021-12-02'"
    stream = BY_KIND["Other"].stream
    upload = f"/dataCollectionRules/{azure.ingestion.rule_id}/streams/{stream}?api-version=2023-01-01"
    row = """-H 'Content-Type: application/json' -d '[{"RecordKey": "hello"}]'"""
    kql = """-H 'Content-Type: application/json' -d '{"query": "DefenderOther_CL | count"}'"""
    calls = {
        "identity": "token https://management.azure.com",
        "blob": f'{storage} "{endpoints.get("blob")}?comp=list"',
        "queue": f'{storage} "{endpoints.get("queue")}?comp=list"',
        "table": f"{storage} -H 'Accept: application/json' \"{endpoints.get('table')}/Tables\"",
        "eventhubs": (
            f"printf 'AMQP\\0\\1\\0\\0' | curl -sS --max-time 1 telnet://127.0.0.1:{azure.broker.port} | head -c 4; "
            f"echo '  {azure.broker.connection_string}'"
        ),
        "arm": (
            f"curl -sS {bearer('https://management.azure.com')} "
            f'"{endpoints.get("arm")}/subscriptions?api-version=2022-12-01"'
        ),
        "ingestion": (
            f"curl -sS {bearer('https://monitor.azure.com')} {row} -w '%{{http_code}}\\n' "
            f'"{endpoints.get("ingestion")}{upload}"'
        ),
        "query": (
            f"curl -sS {bearer('https://api.loganalytics.io')} {kql} "
            f'"{endpoints.get("query")}/v1/workspaces/{azure.workspace.workspace_id}/query"'
        ),
    }
    if azure.app:
        calls["app"] = f"curl -sS -H 'x-functions-key: {azure.app.master_key}' {azure.app.url}/api/health"
    yield from ((name, calls[name]) for name in endpoints)
