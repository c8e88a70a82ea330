"""App settings, read once into one frozen value.

A value that can't be read never stops what does not need it: it acts as its declaration says (`unreadable`), is kept
in `problems`, and `ready` names it.

Every setting is declared here and only here: its name, default and meaning.  `local.settings.sample.json`,
`docs/settings.md` and `infra/` are tested against this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import partial
from typing import Any

from shared import setting_values as read
from shared.setting_conflicts import conflicts, longest_run

_SHOWN = 200  # characters of a value in the sentence about it


class SettingsError(ValueError):
    """One or more app settings are missing or wrong; the message names each and says what would be right."""


# What a value that can't be read acts as, in words for docs/settings.md.
DEFAULT = "the default"
NO_CALL = "no call to Azure is made with it"
REFUSE = "every route but `health` refuses"
AS_WRITTEN = "it is used as it is, for Azure to refuse"
NO_RUN = "no run plans or writes anything"
NO_ROW = "rows wait as dead letters"
NO_OWN_ROW = "the app's own rows wait as dead letters"
NOT_FORWARDED = "rows for the output hub wait as dead letters"


@dataclass(frozen=True)
class Declaration:
    """How one setting is read: its app-setting name, default as text, meaning, and parser."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], Any]
    section: str
    secret: bool = False
    unreadable: str = DEFAULT
    instead: str | None = None

    @property
    def stands_in(self) -> str:
        """The text that is read where the value can't be."""
        return self.default if self.instead is None else self.instead


def _setting(
    name: str,
    default: str,
    meaning: str,
    parse: Callable[[str], Any] = read.text,
    *,
    section: str,
    secret: bool = False,
    unreadable: str = DEFAULT,
    instead: str | None = None,
) -> Any:
    declaration = Declaration(name, default, meaning, parse, section, secret, unreadable, instead)
    return field(repr=not secret, metadata={"declaration": declaration})


_identity_and_cloud = partial(_setting, section="Identity and cloud")
_other_tenants = partial(_setting, section="Other tenants")
_reconcile = partial(_setting, section="Reconcile")
_event_hub = partial(_setting, section="Event Hub")
_delivery = partial(_setting, section="Delivery")
_watch = partial(_setting, section="Watch")
_enrich = partial(_setting, section="Enrich")
_storage = partial(_setting, section="Storage")
_http = partial(_setting, section="HTTP")


@dataclass(frozen=True)
class Settings:
    """Everything the app reads from its environment; see each declaration for unit and meaning."""

    instance_id: str = _identity_and_cloud(
        "INSTANCE_ID",
        "default",
        "Names this deployment in the ownership tags; two apps in one tenant need two names.",
        read.tag_value,
        unreadable=NO_RUN,
    )
    cloud: str = _identity_and_cloud(
        "AZURE_CLOUD",
        "AzureCloud",
        "AzureCloud, AzureUSGovernment or AzureChinaCloud: picks ARM, audiences and suffixes.",
        read.choice("AzureCloud", "AzureUSGovernment", "AzureChinaCloud"),
        unreadable=NO_CALL,
    )
    tenant_id: str = _identity_and_cloud(
        "TENANT_ID",
        "",
        "The app's home tenant; empty means the tenant of its identity.",
        read.guid,
    )
    arm_endpoint: str = _identity_and_cloud(
        "ARM_ENDPOINT",
        "",
        "Overrides the cloud's Azure Resource Manager endpoint.",
        read.address,
        unreadable=NO_CALL,
    )
    arm_audience: str = _identity_and_cloud(
        "ARM_AUDIENCE",
        "",
        "Overrides the token audience for Azure Resource Manager.",
        read.audience,
        unreadable=NO_CALL,
    )
    authority_host: str = _other_tenants(
        "CROSS_TENANT_AUTHORITY",
        "",
        "Overrides the authority that issues tokens of other tenants; with one set, instance discovery is off.",
        read.address,
        unreadable=NO_CALL,
    )
    cross_tenant_client_id: str = _other_tenants(
        "CROSS_TENANT_CLIENT_ID",
        "",
        "Client id of the multi-tenant app registration that reaches other tenants.",
        unreadable=AS_WRITTEN,
    )
    cross_tenant_credential: str = _other_tenants(
        "CROSS_TENANT_CREDENTIAL",
        "none",
        "How that app proves itself: none, federated (the managed identity's token), certificate or secret.",
        read.choice("none", "federated", "certificate", "secret"),
        unreadable=NO_CALL,
    )
    cross_tenant_secret: str = _other_tenants(
        "CROSS_TENANT_CLIENT_SECRET",
        "",
        "Its client secret; use a Key Vault reference.",
        secret=True,
        unreadable=NO_CALL,
    )
    cross_tenant_certificate: str = _other_tenants(
        "CROSS_TENANT_CERTIFICATE",
        "",
        "Its PEM certificate with private key; use a Key Vault reference.",
        secret=True,
        unreadable=NO_CALL,
    )
    security_provider_id: str = _reconcile(
        "SECURITY_PROVIDER_PRINCIPAL_ID",
        "",
        "Object id of the enterprise application 'Windows Azure Security Resource Provider' "
        "(preflight: may it send to hubs?).",
        read.guid,
    )
    reconcile_schedule: str = _reconcile(
        "RECONCILE_SCHEDULE",
        "0 */15 * * * *",
        "NCRONTAB schedule (UTC) of reconcile_exports.",
        read.schedule,
        unreadable=AS_WRITTEN,
    )
    reconcile_mode: str = _reconcile(
        "RECONCILE_MODE",
        "plan",
        "plan only shows what would change; apply writes; approve writes only plans that somebody approved.",
        read.choice("plan", "apply", "approve"),
        unreadable="`plan`: nothing is written",
    )
    approval: str = _reconcile(
        "APPROVAL",
        "any",
        "Who may approve a plan: any (whoever holds Exports.Approve) or four-eyes (not who wrote an export in it).",
        read.choice("any", "four-eyes"),
        unreadable="`four-eyes`: nobody approves what they wrote",
        instead="four-eyes",
    )
    inventory: str = _reconcile(
        "INVENTORY",
        "graph",
        "graph discovers live automations through Resource Graph; list asks each subscription.",
        read.choice("graph", "list"),
    )
    max_deletes: int = _reconcile(
        "MAX_DELETES",
        "10",
        "Guard: a run that would delete more automations than this deletes none.",
        read.integer(0, 100_000),
    )
    delete_grace_hours: int = _reconcile(
        "DELETE_GRACE_HOURS",
        "24",
        "Hours for which an automation stays in a subscription that left its export's scope; two complete runs at "
        "least.",
        read.integer(0, 8760),
    )
    max_change_percent: int = _reconcile(
        "MAX_CHANGE_PERCENT",
        "20",
        "Guard: a run that would update more than this share of the owned automations updates none. 100 turns it off.",
        read.integer(0, 100),
    )
    apply_concurrency: int = _reconcile(
        "APPLY_CONCURRENCY", "32", "Subscriptions worked on at the same time during apply.", read.integer(1, 256)
    )
    apply_budget: timedelta = _reconcile(
        "APPLY_BUDGET_SECONDS",
        "480",
        "Seconds a run may spend, at most 70 % of functionTimeout; what is not reached is left to the next run.",
        read.seconds(1, 86_400),
    )
    register_provider: bool = _reconcile(
        "REGISTER_PROVIDER",
        "false",
        "Whether a subscription where Microsoft.Security is not registered is registered (needs the right to).",
        read.flag,
    )
    report_retention_days: int = _reconcile(
        "REPORT_RETENTION_DAYS", "90", "Days that run reports are kept in Blob Storage.", read.integer(1, 3650)
    )
    event_hub_name: str = _event_hub(
        "EVENT_HUB_NAME",
        "defender-export",
        "The hub that exports send to and enrich_records reads.",
        read.hub_name,
        unreadable=AS_WRITTEN,
    )
    event_hub_consumer_group: str = _event_hub(
        "EVENT_HUB_CONSUMER_GROUP", "$Default", "Consumer group of enrich_records."
    )
    event_hub_connection: str = _event_hub(
        "EventHubConnection",
        "",
        "Connection string of the namespace; for identity leave it empty and name the namespace instead.",
        read.hub_connection,
        secret=True,
        unreadable=NO_CALL,
    )
    event_hub_namespace: str = _event_hub(
        "EventHubConnection__fullyQualifiedNamespace",
        "",
        "Namespace host name, for identity-based connections.",
        read.host_name,
        unreadable=NO_CALL,
    )
    forward_event_hub: str = _event_hub(
        "FORWARD_EVENT_HUB",
        "",
        "Name of an output hub that enriched rows also go to; empty means none.",
        read.hub_name,
        unreadable=AS_WRITTEN,
    )
    forward_format: str = _event_hub(
        "FORWARD_FORMAT",
        "rows",
        "What an event of the output hub holds: rows (the row of the table) or ocsf (docs/ocsf.md).",
        read.choice("rows", "ocsf"),
    )
    forward_event_kb: str = _event_hub(
        "FORWARD_EVENT_KB",
        "1024",
        "KB of the largest event that the output hub takes: 1024, or 256 in the Basic tier; what is over it is cut, "
        "and kept whole among the oversize records.",
        read.choice("1024", "256"),
        unreadable="`256`: every hub takes the events",
        instead="256",
    )
    forward_connection: str = _event_hub(
        "ForwardConnection",
        "",
        "Connection string of the output hub's namespace; empty means the input's, or identity.",
        read.hub_connection,
        secret=True,
        unreadable=NOT_FORWARDED,
    )
    forward_namespace: str = _event_hub(
        "ForwardConnection__fullyQualifiedNamespace",
        "",
        "The output hub's namespace, for identity.",
        read.host_name,
        unreadable=NOT_FORWARDED,
    )
    ingestion_endpoint: str = _delivery(
        "LOGS_INGESTION_ENDPOINT",
        "",
        "logsIngestion endpoint of the data collection rule (kind Direct) or of a data collection endpoint.",
        read.rule_endpoint,
        unreadable=NO_ROW,
    )
    ingestion_rule_id: str = _delivery(
        "LOGS_INGESTION_RULE_ID",
        "",
        "Immutable id of the data collection rule (dcr-...).",
        read.immutable_id,
        unreadable=NO_ROW,
    )
    own_ingestion_endpoint: str = _delivery(
        "LOGS_INGESTION_OWN_ENDPOINT",
        "",
        "The same for the rule of the rows about the app itself (runs, health); empty: the rule of the records.",
        read.rule_endpoint,
        unreadable=NO_OWN_ROW,
    )
    own_ingestion_rule_id: str = _delivery(
        "LOGS_INGESTION_OWN_RULE_ID",
        "",
        "Immutable id of that rule; empty: the rule of the records takes those rows too.",
        read.immutable_id,
        unreadable=NO_OWN_ROW,
    )
    ingestion_audience: str = _delivery(
        "LOGS_INGESTION_AUDIENCE",
        "",
        "Overrides the token audience for Logs Ingestion.",
        read.audience,
        unreadable=NO_ROW,
    )
    delivery_concurrency: int = _delivery(
        "DELIVERY_CONCURRENCY",
        "8",
        "Uploads at the same time in one process; fewer while the service throttles.",
        read.integer(1, 64),
    )
    function_timeout: timedelta = _delivery(
        "FUNCTION_TIMEOUT_SECONDS",
        "600",
        "The functionTimeout of host.json, in seconds; deadlines derive from it.",
        read.seconds(10, 86_400),
    )
    delivery_deadline_percent: int = _delivery(
        "DELIVERY_DEADLINE_PERCENT",
        "60",
        "Share of the function timeout after which an invocation stops uploading and spills to the dead letters.",
        read.integer(1, 90),
    )
    upload_timeout: timedelta = _delivery(
        "UPLOAD_TIMEOUT_SECONDS",
        "30",
        "Seconds that one upload may take before it counts as unanswered and is sent again.",
        read.seconds(1, 600),
    )
    dead_letter_schedule: str = _delivery(
        "DEAD_LETTER_SCHEDULE",
        "0 */5 * * * *",
        "NCRONTAB schedule (UTC) of retry_dead_letters.",
        read.schedule,
        unreadable=AS_WRITTEN,
    )
    dead_letter_park_after: int = _delivery(
        "DEAD_LETTER_PARK_AFTER",
        "10",
        "Replays that may refuse a dead letter before it is parked; outages do not count.",
        read.integer(1, 1000),
    )
    routes_file: str = _delivery(
        "ROUTES_FILE",
        "",
        "File that says which rows go to which places (docs/routing.md), by its path in the app; empty: all rows go to "
        "the workspace.",
    )
    route_connections: Mapping[str, str] = _delivery(
        "ROUTE_CONNECTIONS",
        "",
        "Connection strings of the hubs that this file names, as a JSON object by place; use a Key Vault reference. "
        "Without one a hub is reached by identity.",
        read.hub_connections,
        secret=True,
        unreadable="rows for hubs of that file wait as dead letters",
    )
    event_hub_resource_id: str = _watch(
        "EVENT_HUB_RESOURCE_ID",
        "",
        "ARM id of the hub that enrich_records reads: freshness expects data from the exports that send to it.",
        read.hub_resource_id,
    )
    freshness_schedule: str = _watch(
        "FRESHNESS_SCHEDULE",
        "0 20 * * * *",
        "NCRONTAB schedule (UTC) of check_freshness.",
        read.schedule,
        unreadable=AS_WRITTEN,
    )
    news_schedule: str = _watch(
        "NEWS_SCHEDULE",
        "0 */5 * * * *",
        "NCRONTAB schedule (UTC) of send_news, which sends the audit trail and, where they are on, notices.",
        read.schedule,
        unreadable=AS_WRITTEN,
    )
    send_notices: bool = _watch(
        "SEND_NOTICES",
        "false",
        "Whether send_news also tells people what is wrong and what is well again, by the rules of notify.yaml.",
        read.flag,
    )
    notify_receivers: Mapping[str, str] = _watch(
        "NOTIFY_RECEIVERS",
        "",
        "Addresses of the receivers that notify.yaml names, as a JSON object by name; use a Key Vault reference.",
        read.receivers,
        secret=True,
        unreadable="nothing is sent to an address; what is news waits",
    )
    freshness_interval: timedelta = _watch(
        "FRESHNESS_INTERVAL_SECONDS",
        "900",
        "A subscription and kind is noted as seen at most once per this many seconds.",
        read.seconds(0, 86_400),
    )
    snapshot_due_days: int = _watch(
        "SNAPSHOT_DUE_DAYS", "9", "Days after which a weekly snapshot counts as missing.", read.integer(8, 60)
    )
    late_after: timedelta = _watch(
        "LATE_AFTER_SECONDS",
        "900",
        "Service level: an event whose row is in its table later than this many seconds after the hub took it is late.",
        read.seconds(1, 86_400),
    )
    on_time_percent: float = _watch(
        "ON_TIME_PERCENT",
        "99",
        "Service level: percent of the events of a day that are to be on time.",
        read.percent(50, 99.99),
    )
    close_gone: bool = _watch(
        "CLOSE_GONE",
        "false",
        "Whether close_gone compares what the tables hold as open with Resource Graph, and says what ended.",
        read.flag,
    )
    gone_schedule: str = _watch(
        "GONE_SCHEDULE",
        "0 50 * * * *",
        "NCRONTAB schedule (UTC) of close_gone, which goes on with a pass or begins one that is due.",
        read.schedule,
        unreadable=AS_WRITTEN,
    )
    gone_interval_hours: int = _watch(
        "GONE_INTERVAL_HOURS",
        "12",
        "Hours from the beginning of one pass of close_gone to that of the next; a record ends after two.",
        read.integer(2, 168),
    )
    gone_max_percent: int = _watch(
        "GONE_MAX_PERCENT",
        "20",
        "Guard: where more of a kind's open records than this would end in one pass, none of them does.",
        read.integer(0, 100),
    )
    canary: bool = _watch(
        "CANARY",
        "false",
        "Whether a canary may be asked for: Defender for Cloud simulates an alert, which is followed to its table; "
        "needs the right to simulate alerts.",
        read.flag,
    )
    canary_minutes: int = _watch(
        "CANARY_MINUTES",
        "15",
        "Minutes within which a canary has come to its table or the hop that failed is named; each hop has its share.",
        read.integer(5, 240),
    )
    canary_per_day: int = _watch(
        "CANARY_PER_DAY",
        "10",
        "Canaries within 24 hours, over all subscriptions; more are refused.",
        read.integer(1, 1000),
    )
    canary_per_subscription: int = _watch(
        "CANARY_PER_SUBSCRIPTION",
        "2",
        "Canaries within 24 hours of one subscription; more are refused.",
        read.integer(1, 24),
    )
    canary_every_days: int = _watch(
        "CANARY_EVERY_DAYS",
        "0",
        "Days after which check_freshness asks for a canary of a subscription that exports alerts to this hub, one of "
        "them each time; 0 asks for none.",
        read.integer(0, 365),
    )
    canary_consumer_group: str = _watch(
        "CANARY_CONSUMER_GROUP",
        "$Default",
        "Consumer group with which a canary looks into the hub; another than that of enrich_records.",
    )
    refresh_cves: bool = _watch(
        "REFRESH_CVES",
        "false",
        "Whether refresh_cves reads the details of the CVEs that open rows name, once a day; needs Security Reader on "
        "the root management group.",
        read.flag,
    )
    cves_schedule: str = _watch(
        "CVES_SCHEDULE",
        "0 35 * * * *",
        "NCRONTAB schedule (UTC) of refresh_cves, which goes on with a refresh or begins one that is due.",
        read.schedule,
        unreadable=AS_WRITTEN,
    )
    raw_column: str = _enrich(
        "RAW_COLUMN",
        "rest",
        "What the column Raw holds: rest (the fields that no column carries) or whole (the record as sent).",
        read.choice("rest", "whole"),
        unreadable="`whole`: nothing is left out",
        instead="whole",
    )
    drop_columns: tuple[str, ...] = _enrich(
        "DROP_COLUMNS", "", "Columns to leave out of every row, separated by commas.", read.names
    )
    keep_records: str = _enrich(
        "KEEP_RECORDS",
        "",
        "Event sources with rule sets, as JSON: of the kinds it names, only records that they export get a row.",
        read.rule_sets,
        unreadable="no filter: all records are kept",
    )
    drop_records: str = _enrich(
        "DROP_RECORDS",
        "",
        "Event sources with rule sets, as JSON: records that they would export get no row.",
        read.rule_sets,
        unreadable="no filter: all records are kept",
    )
    owner_tags: tuple[str, ...] = _enrich(
        "OWNER_TAGS", "owner", "Tags that name a resource's owner; the first set wins.", read.names
    )
    environment_tags: tuple[str, ...] = _enrich(
        "ENVIRONMENT_TAGS", "environment,env", "Tags that name its environment, likewise.", read.names
    )
    criticality_tags: tuple[str, ...] = _enrich(
        "CRITICALITY_TAGS", "criticality", "Tags that name its criticality, likewise.", read.names
    )
    context_ttl: timedelta = _enrich(
        "CONTEXT_TTL_SECONDS",
        "3600",
        "Seconds after which names, tags and management groups are looked up again.",
        read.seconds(0, 2_592_000),
    )
    workspace_id: str = _watch(
        "WORKSPACE_ID",
        "",
        "Log Analytics workspace (customer) id, to compare rows uploaded with rows stored.",
        read.guid,
    )
    logs_query_endpoint: str = _watch(
        "LOGS_QUERY_ENDPOINT",
        "",
        "Overrides the cloud's Log Analytics query endpoint.",
        read.address,
        unreadable=NO_CALL,
    )
    logs_query_audience: str = _watch(
        "LOGS_QUERY_AUDIENCE",
        "",
        "Overrides the token audience for Log Analytics queries.",
        read.audience,
        unreadable=NO_CALL,
    )
    storage_connection: str = _storage(
        "AzureWebJobsStorage",
        "",
        "Storage connection string; leave empty and set the three service addresses for identity.",
        read.storage_connection,
        secret=True,
        unreadable=NO_CALL,
    )
    storage_blob_uri: str = _storage(
        "AzureWebJobsStorage__blobServiceUri",
        "",
        "Blob service address, for identity.",
        read.address,
        unreadable=NO_CALL,
    )
    storage_queue_uri: str = _storage(
        "AzureWebJobsStorage__queueServiceUri",
        "",
        "Queue service address, for identity.",
        read.address,
        unreadable=NO_CALL,
    )
    storage_table_uri: str = _storage(
        "AzureWebJobsStorage__tableServiceUri",
        "",
        "Table service address, for identity.",
        read.address,
        unreadable=NO_CALL,
    )
    data_blob_uri: str = _storage(
        "DataStorage__blobServiceUri",
        "",
        "Blob service address of the data plane's own account (dead letters, oversize records, checkpoints), where it "
        "has one; empty: that of AzureWebJobsStorage.",
        read.address,
        unreadable=NO_CALL,
    )
    data_table_uri: str = _storage(
        "DataStorage__tableServiceUri",
        "",
        "Table service address of that account (when each subscription last sent each kind); empty: likewise.",
        read.address,
        unreadable=NO_CALL,
    )
    exports_container: str = _storage(
        "EXPORTS_CONTAINER",
        "export-configs",
        "Container of export files, the only source of truth.",
        read.container,
        unreadable=AS_WRITTEN,
    )
    reports_container: str = _storage(
        "REPORTS_CONTAINER",
        "run-reports",
        "Container of run reports.",
        read.container,
        unreadable=AS_WRITTEN,
    )
    dead_letters_container: str = _storage(
        "DEAD_LETTERS_CONTAINER",
        "dead-letters",
        "Container of what could not be delivered.",
        read.container,
        unreadable=AS_WRITTEN,
    )
    oversize_container: str = _storage(
        "OVERSIZE_CONTAINER",
        "oversize-records",
        "Container of whole records whose row had to be cut.",
        read.container,
        unreadable=AS_WRITTEN,
    )
    jobs_queue: str = _storage(
        "JOBS_QUEUE",
        "jobs",
        "Queue of on-demand jobs.",
        read.container,
        unreadable=AS_WRITTEN,
    )
    jobs_table: str = _storage(
        "JOBS_TABLE",
        "jobs",
        "Table of job states.",
        read.table,
        unreadable=AS_WRITTEN,
    )
    freshness_table: str = _storage(
        "FRESHNESS_TABLE",
        "freshness",
        "Table of when each subscription last sent each kind.",
        read.table,
        unreadable=AS_WRITTEN,
    )
    auth_mode: str = _http(
        "AUTH_MODE",
        "key",
        "key: function keys; entra: Easy Auth with the app roles Exports.Read and Exports.Write.",
        read.choice("key", "entra"),
        unreadable=REFUSE,
    )
    accept_missing_auth_marker: bool = _http(
        "ACCEPT_MISSING_AUTH_MARKER",
        "false",
        "Under entra, answer although the platform does not say that Easy Auth is on (WEBSITE_AUTH_ENABLED): only "
        "where Easy Auth was seen to refuse callers without a token. Meanwhile `ready` is not well.",
        read.flag,
        unreadable="`false`: nobody is let in",
    )
    readers_file: str = _http(
        "READERS_FILE",
        "",
        "Under entra, the file that says which app role sees which part of the tenant (docs/readers.md): a path within "
        "the app's package, or an absolute one. Empty: nobody is limited.",
        unreadable=AS_WRITTEN,
    )
    request_deadline_seconds: int = _http(
        "REQUEST_DEADLINE_SECONDS",
        "60",
        "A request without an answer by then gets 503; what `?wait=` asks for comes on top. Below 230, where the front "
        "end of Azure Functions gives up.",
        read.integer(1, 200),
    )
    problems: Mapping[str, str] = field(default_factory=dict, metadata={})

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read settings from `env` (the process environment when left out).

        What can't be read is in `problems`, a sentence by the setting's name, and acts as its declaration says.
        """
        source = os.environ if env is None else env
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        declared = declarations()
        given = {one.name for one in declared.values() if source.get(one.name, "").strip()}
        for attribute, declaration in declared.items():
            raw = source.get(declaration.name, "").strip() or declaration.default
            try:
                values[attribute] = _parsed(declaration, raw)
            except ValueError as error:
                shown = "its value" if declaration.secret else repr(raw[:_SHOWN])
                problems[declaration.name] = f"{declaration.name}: {shown} {error}"
                kept = declaration.unreadable == AS_WRITTEN
                values[attribute] = raw if kept else declaration.parse(declaration.stands_in)
        by_name = {declaration.name: values[attribute] for attribute, declaration in declared.items()}
        problems = {**conflicts(by_name, given - set(problems)), **problems}
        return cls(**values, problems=problems)

    @classmethod
    def load_all_readable(cls, env: Mapping[str, str] | None = None) -> Settings:
        """The same for people at a terminal, who can mend a value before anything is done.

        Raises:
            SettingsError: one or more values can't be read; every one is named.
        """
        settings = cls.load(env)
        if settings.problems:
            raise SettingsError("; ".join(settings.problems.values()))
        return settings

    @property
    def run_budget(self) -> timedelta:
        """How long a run goes on beginning things: as asked, and so that its report is kept within the time."""
        return min(self.apply_budget, longest_run(self.function_timeout))

    def require(self, *names: str) -> None:
        """Refuse to go on with settings that stand for nothing as long as their values can't be read.

        Raises:
            SettingsError: one of them can't be read.
        """
        for name in names:
            if name in self.problems:
                raise SettingsError(self.problems[name])


def _parsed(declaration: Declaration, raw: str) -> Any:
    if fault := read.unusable(raw):
        raise ValueError(fault)
    return declaration.parse(raw)


def declarations() -> dict[str, Declaration]:
    """Every setting's declaration by attribute name, in the order of this file."""
    return {f.name: f.metadata["declaration"] for f in fields(Settings) if "declaration" in f.metadata}
