"""What a real deployment may show that the local Azure can't: the checklist of docs/fidelity.md, item by item."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Item:
    """One thing to see on Azure; `text` says what should be so, and what to do by hand where no program looks."""

    id: str
    section: str
    text: str


_TEXT: Final = r"""
# Resources
stack-twice: `az stack sub create` twice: the second changes nothing. Switch `forwardRows` on and off: the
    second hub is gone.
auth-mode-switch: `authMode` from key to entra and back: at no time does a call without proof get in, and keys
    work again.
rolling-update: `updateStrategy=RollingUpdate` is taken, and a running apply ends by itself.
what-if: `az deployment sub what-if` lists the resources of [deploy.md](deploy.md) and fails on none.
management-group-role: `az deployment mg create` takes the custom role with every switch on: no
    `InvalidActionOrNotAction`. Resource Graph answers for each of the seven kinds with it alone
    (`allowContext=false`, then a job of kind `preview`); regulatory compliance and attack paths, whose types
    are no published operation, above all.
tables: Every table exists with its columns and their types; a second deployment changes nothing (what-if),
    and one of an older release with fewer columns: whether Azure keeps a column that is no longer named (look at
    `az monitor log-analytics workspace table show`).
rules: Both data collection rules of kind Direct have an ingestion endpoint and an immutable id, and all four
    are in the app's settings; rows of runs arrive through the second.
diagnostic-categories: The diagnostic categories exist in your cloud: `LogErrors` (rule), `OperationalLogs`,
    `DiagnosticErrorLogs`, `AutoScaleLogs` (namespace).
sovereign-cloud: In a sovereign cloud: the region has Flex Consumption, and every address in the app's settings
    has that cloud's suffix.
# App
remote-build: Remote build installs `requirements.txt` under Python 3.13, and all functions are listed.
own-process: The app may start a process of its own (a file of over 32 KB is checked in one; else in a thread).
core-tools: `func start` against the local Azure, where Core Tools are installed: all functions load.
ready: `/api/ready` is all well: storage, hub, ingestion and Resource Graph answer to the managed identity.
separate-data-plane: With `separateDataPlane`: each app shows the other's functions as disabled
    (`AzureWebJobs.<function>.Disabled`); `ready` of each says what it leaves to the other; the data plane's
    identity gets 403 from the control plane's account (`az storage blob list` under it).
entra-script: `infra/entra.py` twice: the second run changes nothing (the tests run it against a directory that
    follows Graph's reference, tests/unit/infra/directory.py).
wrong-python: A package built for another Python: `health` is 503 and names both.
second-region: A second region: both deployments of one `environmentName` stand beside each other.
lock-data: `lockData`: a stack that is deleted says so, or takes the locks with it.
entra-marker: With `authMode=entra`: the platform sets `WEBSITE_AUTH_ENABLED` to `true` (documented for App
    Service; on Flex Consumption nobody here has seen it). If it does not, every route but `health` is 503 and
    `ready` says what to do.
entra-answers: With `authMode=entra`: 401 without a token, 403 with a token that has no role, 200 with
    `Exports.Read`; the operations page opens after sign-in.
cold-start: A cold start, measured: first event after an idle hour to row.
scale-out: Instances follow the backlog: publish 100,000 events, look at the instance count and at the time
    until the lag is gone.
# Exports
portal-name: The first automation that was created shows in the portal or, by its name, does not, as
    `docs/exports.md` says.
read-back: `validate` answers `isValid`; the automation read back equals the one written, and the second plan is
    empty.
two-scopes: One PUT with two scopes: whether it is refused, and whether a PATCH of tags alone is taken for an
    automation that has two.
if-match: Whether the provider honours `If-Match`: change an automation between GET and PUT and look at the
    report.
trusted-service: `trustedService: true`: sample alerts arrive in the hub with public access off.
key-renewal: An `authorizationRule`: renew its key, and see the next run repair it.
other-tenant: A destination in another tenant is accepted with the auxiliary token.
unregistered: A subscription without Microsoft.Security registered is reported as blocked, or is registered.
# Data
sample-alerts: Sample alerts appear in `DefenderAlerts_CL`, every column as expected, with nothing in
    `DefenderOther_CL`.
real-records: One real record of each of the seven kinds: keep it, without its secrets, as a case of the
    parser's tests. Attack paths and secure scores above all: their shapes were inferred.
snapshot-day: A weekly snapshot: `IsSnapshot` is set on its records; note the day on which it came.
deleted-resource: A deleted resource: its `Action` is `Delete`, and it leaves `DefenderAssessments_Current()`.
stored-as-sent: A row of each type is stored as sent: `DCRLogErrors` is empty, and the comparison of uploaded
    with stored says `stored` the next day.
body-size: Bodies of nearly 1 MB are accepted; a body just above the limit answers 413.
ocsf: With `FORWARD_FORMAT=ocsf`: your SIEM takes the events under the schema's version that it knows (here they
    are held against the official schema alone), and with `FORWARD_EVENT_KB=256` a hub of the Basic tier takes
    the largest. No record with an EPSS score was seen in an export; its place is that of Microsoft's
    `cvedetails`.
routes: With `ROUTES_FILE`: `ready` finds each place well; a rule and a hub of another tenant take rows through the
    multi-tenant app; a row that a rule sends `instead` stands in that workspace alone. A place whose role is
    taken away refuses, its rows wait as dead letters, and the other places get theirs meanwhile. With a first file
    that can't be read, `ready` says that events wait at the hub, and no row reaches the workspace.
throttling: Throttling answers 429 with `Retry-After`, and lag falls again by itself.
billing: What a million rows are billed (query *Volume by table*) against the formula of
    [operate.md](operate.md#what-it-costs).
# Watch
notices: A notice in Teams, in Slack and by mail, with `*`, `<`, `&` and Markdown of a link in an exception's
  reason: it reads as it was written.
alert-rules: Each alert rule, once by hand: disable an export (silent, after nine days), take the right on the
    rule away (dead letters), change an export three times a day (repaired again and again), and so on.
workbook: The workbook's four tabs show data; every function and query of the library runs.
app-metrics: `AppMetrics` has `defender_export.*`, and `Properties.reason` is filled for dead letters.
roll-back: Roll back to the release before, and forward again, while events arrive: no gap in `SequenceNumber`
    per partition.
# Services
roles: The identity that `--identity` names, or else the one signed in, has every action that planning and
    applying needs at the resource group: `Microsoft.Security/automations` read, write, delete and validate, and
    reading resource groups.
graph-paging: Resource Graph gives a `$skipToken` while there is more, each row once over all pages, and
    `totalRecords`.
graph-quota: Resource Graph says in `x-ms-user-quota-remaining` and `x-ms-user-quota-resets-after` what is left,
    and refuses with 429 when it is used up.
retry-after: Every `Retry-After` that is met is one of the two forms of RFC 9110.
arm-refusals: Azure Resource Manager refuses what is not there with 404 `ResourceNotFound`, and a version that
    is unknown with 400, each with code and message below `error`.
hub-keys: A second key of a hub's rule stays as it is while the first is renewed, and the fingerprint of the
    first tells the two apart.
queue-visibility: A message that was taken is not seen again before its time, and then it is.
blob-conditions: A blob is written once only under `If-None-Match: *`, only over the version that `If-Match`
    names, and not without its lease.
ingestion-refusals: Logs Ingestion refuses an unknown stream and a body that is no array with 400, and another
    `Content-Type` with 415.
ingestion-undeclared: A column that no stream declares is dropped, and its row is taken and stored.
ingestion-types: A value of another type becomes null: a number for a string, a text for a number.
query-limits: A query with more than 500,000 rows is answered with as many and `PartialError`.
query-refusals: A query that is none is refused with 400 `BadArgumentError`.
without-proof: Without a key or token every route but `health` is refused with 401, or 403.
repeated-header: A header or query parameter that is sent twice reaches the app once, its values joined by
    commas; gzip comes as it was asked for; `%0A` in a path is 404.
checkpoints: The trigger keeps a checkpoint for each partition of the hub, and none lies beyond its end.
hub-lag: Fewer than 10,000 events of the hub wait to be read.
app-restart: After a restart the checkpoints go on from where they were, and the next events
    arrive once.
canary: A simulated alert passes every hop from Defender for Cloud to its table.
bundles: A simulated alert of each bundle: how many events come, of which type and severity, and after how many
    minutes; the same with a plan that is off.
query-library: Each query of the library runs once in the workspace.
sentinel: With `sentinel=true`: six rules without a warning in the list; a silent export by hand, and one
    incident after three days; `ASimDataTester`; each hunting query once.
disasters: On a trial: the hub deleted and made anew while the app runs, a container deleted and brought back, a
    namespace failed over, a publish while an apply runs, a lease on a blob under a retention policy.
"""
_ITEM: Final = re.compile(r"(?P<id>[a-z0-9-]+): (?P<text>.*)", re.DOTALL)


def _items() -> tuple[Item, ...]:
    section, found = "", []
    for block in re.split(r"\n(?! )", _TEXT.strip()):
        if block.startswith("# "):
            section = block.removeprefix("# ")
        elif item := _ITEM.fullmatch(block):
            found.append(Item(item["id"], section, " ".join(item["text"].split())))
    return tuple(found)


ITEMS: Final = _items()


def markdown(seen: frozenset[str]) -> str:
    """The checklist as docs/fidelity.md has it; `seen` are the ids of what `accept` looks at."""
    lines: list[str] = []
    section = ""
    for item in ITEMS:
        if item.section != section:
            section = item.section
            lines += ["", section]
        by = " (`accept`)" if item.id in seen else ""
        lines.append(f"- [ ] `{item.id}`{by} {item.text}")
    return "\n".join(lines[1:])
