"""`docs/openapi.json` and `docs/api.md`, from the app itself: `python -m tools.api_docs` writes, `--check` compares."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.web import problems
from shared.web.openapi import document

DOCS = Path(__file__).resolve().parent.parent / "docs"

_INTRODUCTION = """# HTTP API

Generated from `docs/openapi.json` (also at `/api/openapi.json`) by `python -m tools.api_docs`. Samples of its use are in [runbooks/](runbooks/README.md), pipelines in [pipelines/](pipelines/).

- **Examples** take the app's address from `APP`, a function key from `KEY`, the ids of a job and a run from `JOB` and `RUN`, and that of a job to cancel from `QUEUED_JOB`. Under Entra send `Authorization: Bearer <token>` in place of the key. Clients can be generated from the document: openapi-python-client and openapi-typescript are run over every answer in the tests.
- **Who may call.** Under `AUTH_MODE=key` send a function key as `x-functions-key`: whoever has it may do all but what takes a role of persons (below). Under `AUTH_MODE=entra` send a token for the app's API; reading needs the app role `Exports.Read`, writing `Exports.Write`, which includes reading; approving `Exports.Approve`, and the records of dead letters and shapes of records `Records.Read`, which no function key bears. Readers of a part of the tenant have [roles of their own](readers.md), for which `Exports.Read` below stands as far as that page says. Each deed and each look at records is logged, and noted in the [audit trail](audit.md), with who and which. A refusal is 401 or 403, never a redirect. Under keys a 401 comes from the Functions host, without a body.
- **Parameters** are taken as written here. An unknown, mis-cased, repeated or empty one is refused with 400 and the nearest right name, so that no misspelling widens what is asked for; the platform's own `code` and `clientId` are known everywhere. A subscription, management group, tenant or export that does not exist is 404 with the nearest name, as far as the tenant could be read completely. Only `health` takes anything.
- **`api-version`** is optional: a date, of which there is one, 2026-11-26. An unknown one is refused with those that exist.
- **Bodies** are at most 1,000,000 bytes, without `Content-Encoding`. An export is sent as YAML (`application/yaml`) or JSON, and read as what it is sent as: JSON (RFC 8259) may not repeat a key, nest deeper than 40 levels or hold whole numbers of more than 18 digits. It is given as JSON unless YAML is asked for. A list that is empty is refused: leave it out to mean all.
- **Preconditions** are those of RFC 9110. `If-Match` takes the ETag of the version that you read, `If-None-Match: *` only creates; a 412 means that someone else was first: read again, repeat the change. Without either, the last writer wins. A read with the current ETag in `If-None-Match` is 304. JSON and YAML of one version have ETags of their own; a write takes either. A deletion of what is not there is 204, so it may be repeated. `dryRun=true` writes and deletes nothing. 409: an `Idempotency-Key` that was used for another request, a job to cancel that has ended, or a plan that can't be approved.
- **Idempotency keys** belong to the identity that sends them, under function keys to everyone who has one: an address may change between a request and its repetition. They are remembered as long as the job.
- **Jobs** are answered with 202, `Location` and `Retry-After`; with `?wait=` of at most 200 seconds with 200 once they have ended in time (the front end of Azure Functions cuts a request after 230). A job whose worker gives no sign of life is taken over by the next delivery of its message; after 30 minutes without one it is `dead`, and stays so. One that waits or runs is cancelled by `POST /api/jobs/{id}/cancel`: at once (200) or, where a worker has it, within half a minute (202); what it has done by then stays. Jobs are kept as long as run reports (`REPORT_RETENTION_DAYS`).
- **Pages.** A list has `value` and `continuation`; send the latter back until it is empty, with the same filters: a token of another list or other filters is refused. It names the last row, so rows that come or go between two pages hide no other. As CSV (`Accept: text/csv`) it is the header `Continuation`. Cells that a spreadsheet would run begin with `'`.
- **Other methods** on these paths, `HEAD` and `OPTIONS` among them, are answered 404 by the Functions host before the app runs.
- **`ready`** asks for a token, the storage, each partition of the hub (its end against the checkpoint), the Logs Ingestion endpoint, and looks at the last run. It uploads no row to prove that it may: a refused upload counts as an outage in the dead letters, and an outage within the last hour makes `ready` say so.
- **In time.** A request without an answer after `REQUEST_DEADLINE_SECONDS` (60) is 503 with `Retry-After`; with `?wait=n` it ends within n + 10 seconds, 224 at most. A write that is answered so may have been carried out: read before you repeat it. Whatever is asked of the tenant (`coverage`, `status`, `plan`, `import`) is 503 with the reasons when its subscriptions or its automations could not be read at all; what could be read in part has `complete: false` and reasons, in CSV the header `Complete: false`, and is never kept for the next caller.
- **Compression.** Answers of more than 4 KB come in gzip where `Accept-Encoding` names it, but for those with an ETag.
- **Quotas.** 429 with `Retry-After`: over all instances of the app `maxAge` below 60 forces at most 30 readings of the tenant a minute, and 100 jobs are queued or running at most. The body of a job is at most 131,072 bytes. Of each operation an instance answers four requests at the same time (30 of `coverage` and `status`), but for starting and reading a job; others wait for their turn within the deadline. A page ends before its `limit` where an answer would grow too large: go on while there is a `continuation`.

Under `AUTH_MODE=entra` the app believes the header `X-MS-CLIENT-PRINCIPAL`. Behind App Service authentication nobody else can write it: the platform removes what a caller sends. **Without App Service authentication in front, the header is whatever a caller claims.** So without the platform's marker (`WEBSITE_AUTH_ENABLED`) every route but `health` is 503 and says why. Where authentication was seen to refuse callers without a token and the marker is missing all the same, `ACCEPT_MISSING_AUTH_MARKER=true` lets callers in; `ready` stays 503 while it is on.
"""  # noqa: E501 - a paragraph is a line in these pages


def openapi() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2) + "\n"


def page() -> str:
    """The page for people."""
    return "\n".join([_INTRODUCTION, *_operations(), *_problems()])


def _operations() -> Iterator[str]:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            yield f"## {method.upper()} {path}\n"
            yield f"`{operation['operationId']}`: {operation['summary']}. {operation['description']}\n"
            if operation["parameters"]:
                yield "| parameter | in | meaning | values |\n| --- | --- | --- | --- |"
                for each in operation["parameters"]:
                    said = each.get("description", "In the path.")
                    yield f"| `{each['name']}` | {each['in']} | {said} | {_values(each['schema'])} |"
                yield ""
            if body := operation.get("requestBody"):
                yield f"Takes {_contents(body['content'])}.\n"
            yield "| status | means | body |\n| --- | --- | --- |"
            for status, answer in operation["responses"].items():
                yield f"| {status} | {answer['description']} | {_contents(answer.get('content', {})) or 'none'} |"
            yield ""
            yield from _example(operation)
            yield from _calls(method, path, operation)


def _example(operation: dict[str, Any]) -> Iterator[str]:
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for status, answer in operation["responses"].items() if status < "3"]
    for said, content in zip(("Sent", "Answered"), (contents[0], contents[-1]), strict=True):
        described = content.get("application/json", {})
        examples = [each["value"] for each in described.get("examples", {}).values()]
        examples += [described["example"]] if "example" in described else []
        if examples:
            yield f"{said}, for example:\n\n```json"
            yield from (json.dumps(each, indent=None if len(examples) > 1 else 2) for each in examples)
            yield "```\n"


def calls(method: str, path: str, operation: dict[str, Any]) -> dict[str, str]:
    """The operation in three languages; what is in capitals there are variables of the environment."""
    content = operation.get("requestBody", {}).get("content", {})
    kind = "application/json" if "application/json" in content or not content else next(iter(content))
    body = content.get(kind, {})
    sent = body.get("example") or next((each["value"] for each in body.get("examples", {}).values()), None)
    verb = method.upper()
    text = sent if isinstance(sent, str) else json.dumps(sent)
    address = {language: _address(path, language) for language in ("sh", "powershell", "python")}
    return {
        "sh": f'curl -sS -X {verb} "$APP{address["sh"]}" -H "x-functions-key: $KEY"'
        + (f" \\\n  -H 'content-type: {kind}' --data-binary '{text}'" if sent else ""),
        "powershell": f'Invoke-RestMethod -Method {verb} "$env:APP{address["powershell"]}"'
        ' -Headers @{ "x-functions-key" = $env:KEY }' + (f" `\n  -ContentType {kind} -Body '{text}'" if sent else ""),
        "python": "import os, requests\n\n"
        f"answer = requests.{method}(\n"
        f"    f\"{{os.environ['APP']}}{address['python']}\",\n"
        '    headers={"x-functions-key": os.environ["KEY"]'
        + (f', "content-type": "{kind}"' if sent else "")
        + "},\n"
        + (f"    data={text!r},\n" if sent and '"' in text else f"    data={json.dumps(text)},\n" if sent else "")
        + "    timeout=240,\n)\nanswer.raise_for_status()\nprint(answer.text)",
    }


_VARIABLES = {
    "sh": "${name}",
    "powershell": "$env:{name}",
    "python": "{{os.environ['{name}']}}",
}


def _address(path: str, language: str) -> str:
    variable = "RUN" if not path.startswith("/api/jobs") else "QUEUED_JOB" if path.endswith("/cancel") else "JOB"
    return path.replace("{name}", "soc-alerts").replace("{id}", _VARIABLES[language].format(name=variable))


def _calls(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield "<details><summary>In curl, PowerShell and Python</summary>\n"
    for language, text in calls(method, path, operation).items():
        yield f"```{language}\n{text}\n```\n"
    yield "</details>\n"


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "integer":
        return f"{schema['minimum']} to {schema['maximum']}"
    return f"`{schema['pattern']}`".replace("|", "\\|") if "pattern" in schema else "text"


def _contents(contents: dict[str, Any]) -> str:
    return ", ".join(f"`{kind}`{_models(content.get('schema', {}))}" for kind, content in contents.items())


def _models(schema: dict[str, Any]) -> str:
    found = [each["$ref"].rpartition("/")[2] for each in (schema, *schema.get("anyOf", ())) if "$ref" in each]
    return f" ({' or '.join(found)})" if found else ""


def _problems() -> Iterator[str]:
    yield "## Problem types\n"
    yield "Errors are `application/problem+json` (RFC 9457). Branch on `type`; titles and details may change.\n"
    yield "| type | status | title |\n| --- | --- | --- |"
    for problem in problems.ALL:
        yield f"| `{problem.uri}` | {problem.status} | {problem.title} |"
    yield ""


def main() -> int:
    """Write both files, or with `--check` say whether they are current."""
    stale = 0
    for file, text in ((DOCS / "openapi.json", openapi()), (DOCS / "api.md", page())):
        if "--check" not in sys.argv:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            print(f"{file.name} is not current: run python -m tools.api_docs")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
