"""Write `docs/settings.md` and `local.settings.sample.json` from what declares them: `python -m tools.settings_docs`.

App settings come from `shared/settings.py`, host settings from `host.json`; the reason of each host value is here.
`--check` writes nothing and exits 1 when a file is out of date.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.settings import declarations

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "settings.md"
SAMPLE = ROOT / "local.settings.sample.json"
HOST = ROOT / "host.json"

# Read by the platform and the SDKs, not by the app: name -> value in the sample, meaning.
PLATFORM = {
    "FUNCTIONS_WORKER_RUNTIME": ("python", "The language worker; Flex Consumption sets it by itself."),
    "AZURE_CLIENT_ID": (
        "",
        "Client id of the user-assigned managed identity. Without it a user-assigned identity is not found.",
    ),
    "APPLICATIONINSIGHTS_CONNECTION_STRING": ("", "Where the host and the worker send telemetry."),
}

# One reason for every value in host.json.
REASONS = {
    "version": "The host's schema; required.",
    "functionTimeout": (
        "Ten minutes is what every plan allows (Consumption's ceiling). Deadlines inside the app derive from "
        "`FUNCTION_TIMEOUT_SECONDS`, which says the same."
    ),
    "telemetryMode": "The host sends requests, logs and metrics by OpenTelemetry; the app's own traces stand beside.",
    "logging.logLevel.default": "Runs, outcomes and counts are logged at this level; never contents.",
    "logging.logLevel.Azure.Core": "The SDKs log every request at Information, which would cost more than it tells.",
    "extensionBundle.id": "Triggers come from the bundle: nothing to build for a Python app.",
    "extensionBundle.version": "The bundle that has Event Hubs extension 6 and works with the v2 programming model.",
    "extensions.eventHubs.maxEventBatchSize": (
        "About 2 to 3 MB of records an invocation: enough to fill bodies of 1 MB, to ask Resource Graph few questions, "
        "and to be delivered far inside the deadline. It is also the unit of target-based scaling."
    ),
    "extensions.eventHubs.minEventBatchSize": (
        "Without it most batches hold a single event, each with a checkpoint of its own to pay for."
    ),
    "extensions.eventHubs.maxWaitTime": "The longest that a quiet hub delays an event to fill a batch.",
    "extensions.eventHubs.prefetchCount": "Twice the batch: the next is there when one is done; memory stays small.",
    "extensions.eventHubs.batchCheckpointFrequency": (
        "A checkpoint after every batch: a crash repeats one batch, whose rows share their RecordKey."
    ),
    "extensions.eventHubs.initialOffsetOptions.type": "A new consumer group starts with what the hub still holds.",
    "extensions.queues.messageEncoding": "Stated because both sides must agree: job messages are written as base64.",
    "extensions.queues.batchSize": "A job is long and alone on its instance; others wait in the queue, not in memory.",
    "extensions.queues.newBatchThreshold": "With batchSize 1: the next job is fetched when the running one has ended.",
    "extensions.queues.maxDequeueCount": (
        "A host that is ended (a deployment, a scale-in) gives the message of the job in hand back; a job ends by its "
        "own count, after five attempts that got no further. What no worker can take goes to the poison queue."
    ),
    "extensions.queues.visibilityTimeout": "A failed job is tried again after a minute, not at once.",
    "extensions.http.routePrefix": "The default, stated because documents and links name it.",
    "extensions.http.customHeaders.X-Content-Type-Options": "Answers of the host itself are read as what they say.",
    "extensions.http.customHeaders.Referrer-Policy": "An address may carry a function key; no other site sees it.",
    "extensions.http.hsts.isEnabled": "Browsers keep to https once they have seen it.",
    "extensions.http.hsts.maxAge": "A year, the least that counts as lasting.",
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value of a JSON document with its dotted path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def sample() -> str:
    """The text of `local.settings.sample.json`: every setting with its default."""
    values = {name: value for name, (value, _) in PLATFORM.items()}
    values |= {declaration.name: declaration.default for declaration in declarations().values()}
    return json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n"


def document() -> str:
    """The text of `docs/settings.md`.

    Raises:
        KeyError: a value in host.json has no reason here.
    """
    lines = [
        "# Settings",
        "",
        "Generated by `python -m tools.settings_docs`; edit `shared/settings.py`, `host.json` or the tool instead.",
        "",
        "A setting that is left out or empty has its default. A secret belongs in Key Vault, as a reference.",
        "Lists are comma-separated, schedules are NCRONTAB in UTC.",
        "",
        "A value that can't be read stops nothing that does not need it.",
        "It acts as the last column says, and `ready` names it, without showing a secret.",
        "For every setting that includes a reference of Key Vault or App Configuration that was not resolved,",
        "and a value in quotes.",
        "",
        "Named as well are settings that contradict each other: times that do not fit into the function's timeout",
        "(no run begins anything after 70 % of it), an `EntityPath` that names another hub, an output hub that is the",
        "one that is read, one container for two purposes; filters that the linter of exports finds wrong (an error",
        "keeps all records), and columns that no table has or no row can do without, which stay.",
    ]
    for section, group in itertools.groupby(declarations().values(), lambda declaration: declaration.section):
        lines += ["", f"## {section}", "", "| Setting | Default | Meaning | A value that can't be read |"]
        lines.append("| --- | --- | --- | --- |")
        for one in group:
            default = f"`{one.default}`" if one.default else ""
            meaning = f"{_cell(one.meaning)}{' Secret.' if one.secret else ''}"
            lines.append(f"| `{one.name}` | {default} | {meaning} | {one.unreadable} |")
    lines += ["", "## Platform", "", "Read by the host, the worker and the SDKs.", ""]
    lines += ["| Setting | Usual value | Meaning |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | {f'`{value}`' if value else ''} | {meaning} |" for name, (value, meaning) in PLATFORM.items()
    ]
    lines += ["", "## host.json", "", "| Value | Is | Why |", "| --- | --- | --- |"]
    lines += [f"| `{path}` | `{value}` | {REASONS[path]} |" for path, value in leaves(json.loads(HOST.read_text()))]
    lines += [
        "",
        "Retries belong to each function (`@app.retry` in `function_app.py`): host.json has none for them.",
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write both files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check = parser.parse_args().check
    outdated = [
        path for path, text in ((DOCS, document()), (SAMPLE, sample())) if not path.exists() or path.read_text() != text
    ]
    for path in outdated:
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(document() if path == DOCS else sample())
    return int(check and bool(outdated))


if __name__ == "__main__":
    raise SystemExit(main())
