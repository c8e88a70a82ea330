"""Writes what `infra/` takes from the code: tables, streams, settings, functions, queries, alerts, workbook.

`python -m tools.infra` writes; `python -m tools.infra --check` only says what is out of date (exit code 1).
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from shared.enrich import record_functions
from shared.enrich.tables import OWN_TABLES, RECORD_TABLES, TABLES, Table, stream_declarations, table_schema
from shared.settings import declarations
from shared.watch import trend_functions
from tools.kql.binder import Function
from tools.sentinel import generated as sentinel_files
from tools.workbook import queries as panel_queries
from tools.workbook import workbook

ROOT = Path(__file__).parents[1]
INFRA = ROOT / "infra"
_OPTION = re.compile(r"(Parameters|Severity|Every|Window|Dimensions): (.+)")

# Settings that are not given to the deployed app, each with its reason.
NOT_DEPLOYED = {
    "AzureWebJobsStorage": "the app reaches storage by identity; a key would be a secret",
    "EventHubConnection": "the app reaches Event Hubs by identity; a key would be a secret",
    "ForwardConnection": "the output hub is reached by identity",
    "ACCEPT_MISSING_AUTH_MARKER": "an exception that somebody has to decide on",
    "READERS_FILE": "names a file that somebody has to put beside the app",
    "ARM_ENDPOINT": "follows from AZURE_CLOUD",
    "ARM_AUDIENCE": "follows from AZURE_CLOUD",
    "LOGS_INGESTION_AUDIENCE": "follows from AZURE_CLOUD",
    "LOGS_QUERY_ENDPOINT": "follows from AZURE_CLOUD",
    "LOGS_QUERY_AUDIENCE": "follows from AZURE_CLOUD",
    "CROSS_TENANT_AUTHORITY": "follows from AZURE_CLOUD",
    "SEND_NOTICES": "off unless wanted: parameter settings",
    "NOTIFY_RECEIVERS": "off unless wanted: parameter settings, as a Key Vault reference",
    "ROUTES_FILE": "off unless wanted: parameter settings",
    "ROUTE_CONNECTIONS": "off unless wanted: parameter settings, as a Key Vault reference",
    "FORWARD_FORMAT": "rows unless wanted otherwise: parameter settings",
    "FORWARD_EVENT_KB": "the hub that is deployed takes the default: parameter settings",
    "DROP_RECORDS": "off unless wanted: parameter settings",
    "KEEP_RECORDS": "off unless wanted: parameter settings",
    "DROP_COLUMNS": "off unless wanted: parameter settings",
    "CROSS_TENANT_CLIENT_ID": "only with other tenants: parameter settings",
    "CROSS_TENANT_CLIENT_SECRET": "only with other tenants: parameter settings, as a Key Vault reference",
    "CROSS_TENANT_CERTIFICATE": "only with other tenants: parameter settings, as a Key Vault reference",
}


# Settings that the deployment decides, each by what: parameter `settings` must not contradict it.
DECIDED = {
    "INSTANCE_ID": "instanceId",
    "AZURE_CLOUD": "the cloud that is deployed to",
    "TENANT_ID": "the tenant that is deployed to",
    "RECONCILE_MODE": "reconcileMode",
    "EVENT_HUB_NAME": "the hub's name",
    "EVENT_HUB_RESOURCE_ID": "the hub's id",
    "SECURITY_PROVIDER_PRINCIPAL_ID": "securityProviderPrincipalId",
    "EVENT_HUB_CONSUMER_GROUP": "the consumer group's name",
    "EventHubConnection__fullyQualifiedNamespace": "the namespace's name",
    "FORWARD_EVENT_HUB": "forwardRows",
    "ForwardConnection__fullyQualifiedNamespace": "forwardRows",
    "LOGS_INGESTION_ENDPOINT": "the data collection rule of records",
    "LOGS_INGESTION_RULE_ID": "the data collection rule of records",
    "LOGS_INGESTION_OWN_ENDPOINT": "the data collection rule of the app's own rows",
    "LOGS_INGESTION_OWN_RULE_ID": "the data collection rule of the app's own rows",
    "WORKSPACE_ID": "the workspace",
    "AzureWebJobsStorage__blobServiceUri": "the storage account",
    "AzureWebJobsStorage__queueServiceUri": "the storage account",
    "AzureWebJobsStorage__tableServiceUri": "the storage account",
    "DataStorage__blobServiceUri": "separateDataPlane",
    "DataStorage__tableServiceUri": "separateDataPlane",
    "EXPORTS_CONTAINER": "the containers' names",
    "REPORTS_CONTAINER": "the containers' names",
    "DEAD_LETTERS_CONTAINER": "the containers' names",
    "OVERSIZE_CONTAINER": "the containers' names",
    "AUTH_MODE": "authMode",
    "JOBS_QUEUE": "the queue's name",
    "JOBS_TABLE": "the tables' names",
    "FRESHNESS_TABLE": "the tables' names",
}
# Connection strings would be secrets beside the identity that is used instead.
KEYED = {"AzureWebJobsStorage", "EventHubConnection", "ForwardConnection"}
# Settings of the host and the worker that an operator may need, by how they begin.
# PYTHON_ENABLE_OPENTELEMETRY is none of them: with it the host drops what functions log (its filter on "Function.*"),
# and the app exports metrics and traces but no logs.
HOST_PREFIXES = ("AzureFunctionsJobHost__", "AzureWebJobs.", "PYTHON_THREADPOOL_", "PYTHON_ENABLE_DEBUG_", "OTEL_")


@dataclass(frozen=True)
class Query:
    """One `.kql` file: its first comment line, the further ones, options of the form `Name: value`, and the text."""

    name: str
    title: str
    description: str
    text: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> str:
        """The parameter list of a function, as KQL writes it."""
        return self.options.get("Parameters", "")


def read_query(path: Path) -> Query:
    """Read a `.kql` file whose leading comments say what it answers."""
    lines = path.read_text().splitlines()
    comments = []
    for line in lines:
        if not line.startswith("//"):
            break
        comments.append(line.removeprefix("//").strip())
    body = "\n".join(lines[len(comments) :]).strip()
    options = {match[1]: match[2] for line in comments if (match := _OPTION.match(line))}
    said = [line for line in comments if not _OPTION.match(line)]
    return Query(path.stem, said[0].rstrip("."), " ".join(said[1:]) or said[0], body, options)


def distinct(table: Table) -> Query:
    """The function that leaves one row per RecordKey, so that duplicates disappear whatever caused them."""
    name = table.name.removesuffix("_CL") + "_Distinct"
    said = f"{table.name} with one row per RecordKey: no duplicates."
    return Query(name, name, said, record_functions.distinct(table.name), _parameters(table))


def current(table: Table) -> Query:
    """The function that leaves the newest row per RecordId, by its own time, without deletes."""
    name = table.name.removesuffix("_CL") + "_Current"
    said = f"{table.name} with the newest row per RecordId: what holds now."
    return Query(name, name, said, record_functions.current(table.name), _parameters(table))


def _parameters(table: Table) -> dict[str, str]:
    return {"Parameters": record_functions.parameters(table.name)}


def all_records() -> Query:
    """The function that joins the tables of records; rows of each keep its columns."""
    tables = ", ".join(table.name for table in TABLES if table.holds_records)
    text = f"union withsource = TableName {tables}\n| {record_functions.NO_SIMULATED}"
    said = "Every row of every table of records."
    options = {"Parameters": record_functions.SIMULATED}
    return Query("DefenderRecords_All", "DefenderRecords_All", said, text, options)


def over_time() -> list[Query]:
    """The functions of figures over time."""
    return [
        Query(name, name, said, trend_functions.saved(name), {"Parameters": trend_functions.LOOKBACK})
        for name, (_, _, said) in trend_functions.FUNCTIONS.items()
    ]


def saved_functions() -> list[Query]:
    """Every function that the workspace gets: of tables of records, of figures over time, and of `infra/functions/`."""
    generated = [make(table) for table in TABLES if table.holds_records for make in (distinct, current)]
    return [
        *generated,
        all_records(),
        *over_time(),
        *(read_query(path) for path in sorted((INFRA / "functions").glob("*.kql"))),
    ]


def kql_functions() -> tuple[Function, ...]:
    """The saved functions as the KQL binder takes them."""
    return tuple(Function(query.name, query.parameters, query.text) for query in saved_functions())


def library() -> list[Query]:
    """The queries of `infra/queries/`."""
    return [read_query(path) for path in sorted((INFRA / "queries").glob("*.kql"))]


def alerts() -> list[Query]:
    """The alert rules of `infra/alerts/`."""
    return [read_query(path) for path in sorted((INFRA / "alerts").glob("*.kql"))]


def settings_defaults() -> dict[str, str]:
    """Settings with a default worth showing: not empty, no secret."""
    return {
        declared.name: declared.default
        for declared in declarations().values()
        if declared.default and not declared.secret and declared.name not in NOT_DEPLOYED
    }


def known_settings() -> dict[str, list[str]]:
    """What parameter `settings` takes: names, beginnings of names, and which of the names are secrets."""
    taken = [name for name in (one.name for one in declarations().values()) if name not in {*DECIDED, *KEYED}]
    secrets = [one.name for one in declarations().values() if one.secret and one.name in taken]
    return {"names": taken, "prefixes": list(HOST_PREFIXES), "secrets": secrets}


# What the data plane runs where it has an app of its own, and what every app answers. All else is the control plane's,
# so that a function which is new runs once.
DATA_FUNCTIONS = ("enrich_records", "retry_dead_letters")
SHARED_FUNCTIONS = ("health", "ready")


def function_names() -> list[str]:
    """The names of the functions, in the order of `function_app.py`."""
    return [
        str(decorator.args[0].value)
        for node in ast.parse((ROOT / "function_app.py").read_text()).body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr == "function_name"
        and isinstance(decorator.args[0], ast.Constant)
    ]


def switched_off() -> dict[str, dict[str, str]]:
    """The settings that switch functions off, by the role of an app: each function has its trigger in one app."""
    names = function_names()

    def off(chosen: Iterable[str]) -> dict[str, str]:
        return {f"AzureWebJobs.{name}.Disabled": "true" for name in chosen}

    elsewhere = {*DATA_FUNCTIONS, *SHARED_FUNCTIONS}
    return {"all": {}, "control": off(DATA_FUNCTIONS), "data": off(name for name in names if name not in elsewhere)}


@cache
def _reads_by_function() -> dict[str, frozenset[str]]:
    bodies = {query.name: query.text for query in saved_functions()}
    own = {name: _named(text) for name, text in bodies.items()}

    def all_of(name: str) -> frozenset[str]:
        called = (other for other in bodies if other != name and re.search(rf"\b{other}\b", bodies[name]))
        return own[name].union(*(all_of(other) for other in called))

    return {name: all_of(name) for name in bodies}


def _named(text: str) -> frozenset[str]:
    return frozenset(table.name for table in TABLES if re.search(rf"\b{table.name}\b", text))


def tables_read(text: str) -> list[str]:
    """The app's tables that a KQL text reads, itself or through saved functions, in the order of the schemas."""
    called = (reads for name, reads in _reads_by_function().items() if re.search(rf"\b{name}\b", text))
    found = _named(text).union(*called)
    return [table.name for table in TABLES if table.name in found]


def lost_on_basic() -> dict[str, list[str]]:
    """What goes without each table of records when its plan is Basic: alerts, functions, panels and library queries."""
    readers = [
        *((f"alert {query.title}", query.text) for query in alerts()),
        *((f"function {query.name}", query.text) for query in saved_functions()),
        *((f"panel {title}", text) for title, text in panel_queries(workbook())),
        *((f"query {query.title}", query.text) for query in library()),
    ]
    lost: dict[str, list[str]] = {table.name: [] for table in TABLES if table.holds_records}
    for what, text in readers:
        for table in tables_read(text):
            if table in lost and what not in lost[table]:
                lost[table].append(what)
    return lost


def plans_page() -> str:
    """What each table costs the rest when it is put on plan Basic, in Markdown."""
    parts = [
        "# Table plans",
        "",
        "Generated by `python -m tools.infra`. What the plan Basic of one table of records takes away, by the tables",
        "that each text reads, itself or through a function. Alerts, functions and library queries that can't work",
        "are not deployed; panels of the workbook stay, and stay empty. A Basic table answers for thirty days, one",
        "table at a time, and is billed by the query. The tables about the app itself are always Analytics.",
        "",
        "Auxiliary is not offered: it takes no dynamic columns ([why](decisions/no-auxiliary-tables.md)).",
        "",
    ]
    for table, lost in lost_on_basic().items():
        parts += [f"## {table}", "", *(f"- {what}" for what in lost), ""]
    return "\n".join(parts).rstrip() + "\n"


def generated() -> dict[Path, str]:
    """Content by path of every generated file."""
    folder = INFRA / "generated"
    return {
        folder / "tables.json": _json({"tables": [_table(table) for table in TABLES]}),
        folder / "streams.json": _json(
            {"records": stream_declarations(RECORD_TABLES), "own": stream_declarations(OWN_TABLES)}
        ),
        folder / "settings.json": _json(settings_defaults()),
        folder / "known-settings.json": _json(known_settings()),
        folder / "switched-off.json": _json(switched_off()),
        folder / "functions.json": _json({"functions": [_function(query) for query in saved_functions()]}),
        folder / "queries.json": _json({"queries": [_library_entry(query) for query in library()]}),
        folder / "alerts.json": _json({"alerts": [_alert(query) for query in alerts()]}),
        folder / "workbook.json": _json(workbook()),
        ROOT / "docs" / "queries" / "README.md": queries_page(),
        ROOT / "docs" / "table-plans.md": plans_page(),
        **sentinel_files(tables_read),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "stream": table.stream,
        "holdsRecords": table.holds_records,
        "schema": {**table_schema(table), "description": table.description},
    }


def _function(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "description": query.description,
        "parameters": query.parameters.replace(": ", ":").replace(" = ", "="),
        "reads": tables_read(query.text),
        "query": query.text,
    }


def _library_entry(query: Query) -> Mapping[str, Any]:
    # Queries of a pack are named by a GUID; this one stays the same from deployment to deployment.
    identity = str(uuid5(NAMESPACE_URL, f"https://defender-export/queries/{query.name}"))
    return {
        "id": identity,
        "title": query.title,
        "description": query.description,
        "reads": tables_read(query.text),
        "query": query.text,
    }


def _alert(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "title": query.title,
        "description": query.description,
        "severity": int(query.options["Severity"]),
        "every": query.options["Every"],
        "window": query.options["Window"],
        "dimensions": [name.strip() for name in query.options.get("Dimensions", "").split(",") if name.strip()],
        "runbook": f"docs/operate.md#{query.title.lower().replace(' ', '-')}",
        "reads": tables_read(query.text),
        "query": query.text,
    }


def queries_page() -> str:
    """The index of functions and queries, in Markdown."""
    parts = [
        "# Queries",
        "",
        "Generated by `python -m tools.infra` from `infra/functions/`, `infra/queries/` and the table schemas.",
        "The deployment saves the functions in the workspace and the queries in a query pack; every text is bound",
        "against the table schemas by Microsoft's KQL language service in the tests.",
        "",
        "## Functions",
        "",
        "Rows arrive at least once and each change is a row of its own, so ask the functions rather than the tables:",
        "`..._Distinct` leaves one row per change (`RecordKey`), `..._Current` the newest row per record (`RecordId`)",
        "without deleted ones.",
        "",
        "They look back by themselves (parameter `lookback`, all that is kept unless given), and each query names its",
        "own time, so that the portal's time range, 24 hours at first, leaves nothing out: it says *Set in query*.",
        "A call of the query API narrows them all the same: leave its `timespan` out.",
        "",
        "| function | parameters | gives |",
        "| --- | --- | --- |",
        *(f"| `{query.name}` | {_code(query.parameters)} | {query.description} |" for query in saved_functions()),
        "",
        "## Library",
        "",
    ]
    for query in library():
        parts += [f"### {query.title}", "", query.description, "", "```kusto", query.text, "```", ""]
    return "\n".join(parts).rstrip() + "\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def main(argv: list[str]) -> int:
    """Write the generated files, or with `--check` name those that are out of date."""
    stale = [path for path, content in generated().items() if not path.is_file() or path.read_text() != content]
    for path in stale:
        print(path.relative_to(ROOT))
        if "--check" not in argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(generated()[path])
    return 1 if stale and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
