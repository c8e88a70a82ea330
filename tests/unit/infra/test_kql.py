"""Every KQL text is parsed and bound by Microsoft's language service: one Node process for all of them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.accept.checks import graph as accept_graph
from shared.enrich.context import resource_context
from shared.lifecycle import cve_details, open_counts, open_queries, present_ids
from shared.lifecycle.slices import Slice
from shared.reconcile.discover import inventory
from shared.watch import present_records, stored_rows, trend_functions, trends
from tools import infra
from tools.kql import Database, Diagnostic, Text, bind, resource_graph, workspace
from tools.workbook import queries
from tools.workbook import workbook as posture_workbook

pytestmark = pytest.mark.slow

PART = Slice(("0a1b2c3d-0000-4000-8000-000000000001",), 1, "a")
GRAPH_TEXTS = {
    "shared/reconcile/discover/inventory.py": {
        "subscriptions": inventory.SUBSCRIPTIONS,
        "automations": inventory.AUTOMATIONS,
    },
    "shared/enrich/context/resource_context.py": {
        "containers": resource_context.CONTAINERS.format(ids="'/subscriptions/a'"),
        "resources": resource_context.RESOURCES.format(ids="'/subscriptions/a'"),
    },
    "shared/watch/present_records.py": {
        "present records": present_records.query(present_records.TYPE_OF_KIND),
        "plans that are off": present_records._PLANS_OFF,
    },
    "shared/accept/checks/graph.py": {"a page": accept_graph._QUERY},
    "shared/lifecycle/cve_details.py": {"details of some": cve_details.query(["CVE-2026-1234"])},
    "shared/lifecycle/present_ids.py": {"ids of a part": present_ids.query(PART)},
}
"""The app's own Resource Graph queries, by module."""

TABLE = "DefenderAlerts_CL"

BROKEN = {
    "an unknown column": "DefenderAlerts_CL | where Severity == 'High'",
    "a misspelt operator": "DefenderAlerts_CL | sumarize count()",
    "an unknown function": "DefenderAlerts_Curent() | count",
    "an unknown table": "SecurityAlerts_CL | count",
    "a bad aggregate": "DefenderAlerts_CL | summarize arg_max(TimeGenerated) by",
    "a comparison of a number with text": "DefenderSecureScores_CL | where CurrentScore startswith 'x'",
}


def documented() -> Iterator[Text]:
    """KQL in the pages: fenced, and between backticks."""
    for page in sorted((infra.ROOT / "docs").glob("*.md")):
        text = page.read_text()
        found = re.findall(r"```kusto\n(.+?)```", text, re.DOTALL)
        found += re.findall(r"`((?:Defender|App|DCR|Azure|Usage)\w+(?:\(\))? \| [^`\n]+)`", text)
        yield from (Text(f"docs/{page.name} {number}", "workspace", kql) for number, kql in enumerate(found))


def shipped() -> Iterator[Text]:
    yield from documented()
    bounds = {"start": "2026-11-21T00:00:00+00:00", "end": "2026-11-22T00:00:00+00:00"}
    yield Text("shared/watch/stored_rows.py", "workspace", stored_rows.QUERY.format(tables=TABLE, late=900, **bounds))
    window = {"since": bounds["start"], "until": bounds["end"], "minutes": 1}
    yield Text("shared/watch/trends.py: arrivals", "workspace", trends.ARRIVALS.format(**window))
    for name in trend_functions.FUNCTIONS:
        yield Text(f"shared/watch/trend_functions.py: {name}", "workspace", trend_functions.asked(name, 90))
    for kind in open_queries.WATCHED:
        now = datetime(2026, 11, 21, tzinfo=UTC)
        for what, kql in (
            ("counting", open_queries.counting(kind, now)),
            ("listing", open_queries.listing(kind, PART, now)),
        ):
            yield Text(f"shared/lifecycle/open_queries.py: {what} {kind.name}", "workspace", kql)
    yield Text("shared/lifecycle/open_counts.py", "workspace", open_counts.QUERY)
    for query in infra.library():
        yield Text(f"queries/{query.name}", "workspace", query.text)
    for query in infra.alerts():
        yield Text(f"alerts/{query.name}", "workspace", query.text)
    for title, text in queries(posture_workbook()):
        yield Text(f"workbook/{title}", "workspace", text)
    for module, texts in GRAPH_TEXTS.items():
        for name, text in texts.items():
            yield Text(f"{module}: {name}", "graph", text)


def renamed(database: Database, column: str) -> Database:
    """A database whose tables call one column something else."""
    tables = {
        table: {f"{name}Old" if name == column else name: kind for name, kind in columns.items()}
        for table, columns in database.tables.items()
    }
    return replace(database, tables=tables)


@pytest.fixture(scope="module")
def found() -> list[Diagnostic]:
    ours = workspace(infra.kql_functions())
    databases = {
        "workspace": ours,
        "graph": resource_graph(),
        "renamed": renamed(ours, "RecommendationState"),
        "renamed graph": renamed(resource_graph(), "id"),
    }
    texts = [
        *shipped(),
        *(Text(f"broken/{name}", "workspace", text) for name, text in BROKEN.items()),
        *(text._replace(id=f"renamed/{text.id}", database="renamed") for text in shipped() if text.database != "graph"),
        *(
            text._replace(id=f"renamed/{text.id}", database="renamed graph")
            for text in shipped()
            if text.database == "graph"
        ),
    ]
    return bind(databases, texts)


def test_every_shipped_text_binds(found: list[Diagnostic]) -> None:
    ours = [diagnostic for diagnostic in found if not diagnostic.id.startswith(("broken/", "renamed"))]
    assert ours == []


def test_there_is_much_to_bind() -> None:
    assert len(infra.kql_functions()) >= 16
    assert len(infra.library()) >= 9
    assert len(list(shipped())) >= 40
    assert len(list(documented())) >= 4


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_text_is_found(found: list[Diagnostic], name: str) -> None:
    assert any(diagnostic.id == f"broken/{name}" for diagnostic in found)


def test_a_renamed_column_is_found_wherever_it_is_used(found: list[Diagnostic]) -> None:
    users = {
        f"renamed/{text.id}"
        for text in shipped()
        if text.database == "workspace" and "RecommendationState" in text.text
    }
    graph = {f"renamed/{text.id}" for text in shipped() if text.database == "graph" and re.search(r"\bid\b", text.text)}
    assert len(users) >= 5
    assert users | graph == {diagnostic.id for diagnostic in found if diagnostic.id.startswith("renamed/")}


def test_a_diagnostic_says_where(found: list[Diagnostic]) -> None:
    diagnostic = next(each for each in found if each.id == "broken/an unknown column")
    assert (diagnostic.line, diagnostic.column) == (1, 27)
    assert "Severity" in diagnostic.message


def _graph_literals(path: Path) -> int:
    return sum(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"\s*(resources|resourcecontainers|securityresources)\s*\n?\s*\|", node.value) is not None
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_every_resource_graph_query_of_the_app_is_bound() -> None:
    counted = {
        str(path.relative_to(infra.ROOT)): _graph_literals(path) for path in (infra.ROOT / "shared").rglob("*.py")
    }
    assert {name: count for name, count in counted.items() if count} == {
        name: len(texts) for name, texts in GRAPH_TEXTS.items()
    }
