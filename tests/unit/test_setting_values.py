"""What each sort of setting takes, and what it refuses; numbers and names that contradict each other."""

from __future__ import annotations

import pytest

from shared.setting_conflicts import LONGEST_RUN
from shared.settings import Settings

REFERENCE = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/it/)"
HUB = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=YWJj"
HUB_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventHub/namespaces/n"
ADDRESSES = (
    "ARM_ENDPOINT",
    "CROSS_TENANT_AUTHORITY",
    "LOGS_INGESTION_ENDPOINT",
    "LOGS_INGESTION_OWN_ENDPOINT",
    "LOGS_QUERY_ENDPOINT",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "DataStorage__blobServiceUri",
    "DataStorage__tableServiceUri",
)


def problems(**env: str) -> dict[str, str]:
    return dict(Settings.load(env).problems)


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "value",
    [
        "dce.westeurope-1.ingest.monitor.azure.com",
        '"https://dce.westeurope-1.ingest.monitor.azure.com"',
        "'https://dce.westeurope-1.ingest.monitor.azure.com'",
        "http://dce.westeurope-1.ingest.monitor.azure.com",
        REFERENCE,
        "@microsoft.keyvault(SecretUri=https://kv.vault.azure.net/secrets/it/)",
        "@Microsoft.AppConfiguration(Endpoint=https://c.azconfig.io; Key=dce)",
        "https://",
        "https:///dce",
        "https:dce.ingest.monitor.azure.com",
        "https://https://dce.ingest.monitor.azure.com",
        "https://<name>.ingest.monitor.azure.com",
        "https://dce .ingest.monitor.azure.com",
        "https://dce.ingest.monitor.azure.com\n/x",
        "https://dce.ingest.monitor.azure.com:port",
        "https://dce.ingest.monitor.azure.com:0",
        "https://.",
        "https://dce..azure.com",
        "https://user@dce.azure.com",
        "https://%DCE%",
        "https://dce.azure.com?sv=1",
        "https://[::1",
        "https:\\\\dce.azure.com",
        "ftp://dce.azure.com",
        "/subscriptions/s/resourceGroups/g",
        "-",
        "https://dcé.azure.com",
        "https://\uff11\uff12\uff17.0.0.1",
        f"https://{'a' * 64}.azure.com",
        f"https://{'a.' * 127}com",
        "https://dce.azure.com#top",
        "https://dce.azure.com/{tenant}",
        "https://dce.azure.com;https://other.azure.com",
        "https://dce.azure.com,https://other.azure.com",
        "https://dce.azure.com:443:443",
        "https://dce.azure.com:65536",
        "https://dce.azure.com\u200b",
        "https://\u202emoc.eruza",
        "https://:443",
    ],
)
def test_what_is_no_address_is_named_and_not_used(name: str, value: str) -> None:
    found = problems(**{name: value})
    assert found.keys() == {name}
    assert found[name].startswith(f"{name}: ")
    assert value not in Settings.load({name: value}).__dict__.values()


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "value", ["https://dce.azure.com", "https://dce.azure.com/", "HTTPS://DCE.azure.com:8443", "https://[::1]:443"]
)
def test_addresses(name: str, value: str) -> None:
    assert problems(**{name: value}) == {}


def test_a_storage_address_may_have_a_path_and_a_rules_may_not() -> None:
    assert problems(AzureWebJobsStorage__blobServiceUri="https://127.0.0.1:10000/devstoreaccount1") == {}
    copied = "https://dce.azure.com/dataCollectionRules/dcr-1/streams/Custom-X?api-version=2023-01-01"
    assert problems(LOGS_INGESTION_ENDPOINT=copied).keys() == {"LOGS_INGESTION_ENDPOINT"}
    assert problems(LOGS_INGESTION_ENDPOINT=copied.partition("?")[0]).keys() == {"LOGS_INGESTION_ENDPOINT"}


@pytest.mark.parametrize("name", ["EventHubConnection", "ForwardConnection"])
@pytest.mark.parametrize(
    "value",
    [
        REFERENCE,
        f'"{HUB}"',
        "ns.servicebus.windows.net",
        "Endpoint=ns.servicebus.windows.net;SharedAccessKeyName=k;SharedAccessKey=YWJj",
        "Endpoint=sb://ns.servicebus.windows.net/",
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=k",
        "Endpoint=sb://;SharedAccessKeyName=k;SharedAccessKey=YWJj",
        "Endpoint=sb://<ns>.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=YWJj",
        "SharedAccessKeyName=k;SharedAccessKey=YWJj",
        f"{HUB};EntityPath",
        "{}",
        f"{HUB};=x",
        HUB.replace("=", ":"),
        HUB.replace(";", ","),
        HUB.replace(";", "\n"),
        HUB.replace("ns.", "ns ."),
        HUB.replace("ns.servicebus", "ns\u200b.servicebus"),
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=;SharedAccessKey=YWJj",
        "Endpoint=;SharedAccessKeyName=k;SharedAccessKey=YWJj",
        "AccountName=a;AccountKey=YWJj;EndpointSuffix=core.windows.net",
        f"export EventHubConnection={HUB}",
    ],
)
def test_what_is_no_connection_string_of_a_namespace_is_named_and_never_shown(name: str, value: str) -> None:
    found = problems(**{name: value})
    assert found.keys() == {name}
    assert value not in found[name]
    assert "YWJj" not in found[name]


@pytest.mark.parametrize("name", ["EventHubConnection", "ForwardConnection"])
@pytest.mark.parametrize(
    "value",
    [HUB, f"{HUB};", f" {HUB} ", HUB.lower(), "Endpoint=sb://n.x/;SharedAccessSignature=SharedAccessSignature s"],
)
def test_connection_strings(name: str, value: str) -> None:
    assert problems(**{name: value}) == {}


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("AzureWebJobsStorage", "storageaccount", "AccountName=a;AccountKey=YQ==;EndpointSuffix=core.windows.net"),
        ("AzureWebJobsStorage", HUB, "UseDevelopmentStorage=true"),
        ("AzureWebJobsStorage", "AccountName=a", "BlobEndpoint=https://a.x/;SharedAccessSignature=sv=1"),
        ("AzureWebJobsStorage", "AccountKey=YQ==", "AccountKey=YQ==;AccountName=a"),
        ("AzureWebJobsStorage", "SharedAccessSignature=sv=1", "TableEndpoint=https://a/;SharedAccessSignature=sv=1"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=false", "usedevelopmentstorage=TRUE"),
        ("AzureWebJobsStorage", "x=y", "AccountName=a;AccountKey=YQ=="),
        ("JOBS_TABLE", "Tables", "tables2"),
        ("EVENT_HUB_NAME", "hüb", "hub"),
        ("LOGS_INGESTION_RULE_ID", "dcr-\u0661", "dcr-1"),
        ("MAX_DELETES", "\u0663", "3"),
        ("MAX_DELETES", "1_000", "1000"),
        ("MAX_DELETES", "--3", "3"),
        ("MAX_DELETES", "3.0", "3"),
        ("MAX_DELETES", "1e1", "10"),
        ("MAX_DELETES", "0x10", "16"),
        ("UPLOAD_TIMEOUT_SECONDS", "\u0663\u0660", "30"),
        ("UPLOAD_TIMEOUT_SECONDS", "3_0", "30.5"),
        ("UPLOAD_TIMEOUT_SECONDS", "00:00:30", "3e1"),
        ("UPLOAD_TIMEOUT_SECONDS", "30s", "30"),
        ("UPLOAD_TIMEOUT_SECONDS", "1e400", "30"),
        ("DELIVERY_DEADLINE_PERCENT", "nan", "60"),
        ("DELIVERY_DEADLINE_PERCENT", "60%", "60"),
        ("EventHubConnection__fullyQualifiedNamespace", "sb://ns.servicebus.windows.net", "ns.servicebus.windows.net"),
        ("ForwardConnection__fullyQualifiedNamespace", "ns", "ns.servicebus.windows.net"),
        ("EVENT_HUB_NAME", "ns/hub", "defender_export.v2"),
        ("EVENT_HUB_RESOURCE_ID", HUB_ID, f"{HUB_ID}/EventHubs/hub"),
        ("LOGS_INGESTION_RULE_ID", "/subscriptions/s/x/dataCollectionRules/r", "dcr-0123"),
        ("WORKSPACE_ID", "/subscriptions/s/x/workspaces/w", "0123abcd-0123-0123-0123-0123456789AB"),
        ("TENANT_ID", "contoso", "0123abcd-0123-0123-0123-0123456789ab"),
        ("ARM_AUDIENCE", "management.azure.com", "https://management.azure.com/"),
        ("LOGS_INGESTION_AUDIENCE", REFERENCE, "api://monitor"),
        ("DEAD_LETTERS_CONTAINER", "Dead--Letters", "dead-letters-2"),
        ("EXPORTS_CONTAINER", "ab", "abc"),
        ("JOBS_TABLE", "my-jobs", "myJobs"),
        ("RECONCILE_SCHEDULE", "every hour at noon", "0 */15 * * * MON-FRI"),
        ("FRESHNESS_SCHEDULE", "0 0", "01:00:00"),
        ("SNAPSHOT_DUE_DAYS", "7", "8"),
        ("UPLOAD_TIMEOUT_SECONDS", "0", "1"),
        ("FUNCTION_TIMEOUT_SECONDS", "-1", "30"),
        ("APPLY_BUDGET_SECONDS", "inf", "480"),
    ],
)
def test_each_sort_of_setting(name: str, wrong: str, right: str) -> None:
    assert problems(**{name: wrong}).keys() == {name}
    assert problems(**{name: right}) == {}


@pytest.mark.parametrize(
    "value",
    [
        "60 * * * * *", "0 60 * * * *", "0 0 24 * * *", "0 0 0 0 * *", "0 0 0 32 * *", "0 0 0 * 13 *", "0 0 0 * * 8",
        "0 */0 * * * *", "0 */ * * * *", "0 , * * * *;", "* * * * * * *", "00:00:00", "00:60:00", "1:00",
        "0 \u0661 * * * *", "0 */15 * * *\u200b *", "0 1-99 * * * *", "0 1,2,60 * * * *", "@hourly", "0 5/-1 * * * *",
    ],
)  # fmt: skip
def test_a_schedule_that_no_timer_takes_is_named(value: str) -> None:
    assert problems(RECONCILE_SCHEDULE=value).keys() == {"RECONCILE_SCHEDULE"}


@pytest.mark.parametrize(
    "value",
    [
        "0 */15 * * * *", "*/5 * * * *", "0 0 0 1 JAN SUN", "0 0,30 8-18 * * MON-FRI", "0 0 0 31 12 7", "1.00:00:00",
        "00:15:00", "0 5/15 * * * *", "* * * * * *",
    ],
)  # fmt: skip
def test_schedules(value: str) -> None:
    assert problems(RECONCILE_SCHEDULE=value) == {}


@pytest.mark.parametrize("name", ["DEAD_LETTERS_CONTAINER", "JOBS_QUEUE", "FRESHNESS_TABLE"])
def test_a_place_that_can_not_be_is_never_taken_for_another(name: str) -> None:
    assert "No Such" in Settings.load({name: "No Such"}).__dict__.values()


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"EventHubConnection": f"{HUB};EntityPath=other"}, "EventHubConnection"),
        ({"EventHubConnection": f"{HUB};EntityPath=Defender-Export"}, ""),
        ({"EventHubConnection": f"{HUB};EntityPath=mine", "EVENT_HUB_NAME": "mine"}, ""),
        ({"ForwardConnection": f"{HUB};EntityPath=other", "FORWARD_EVENT_HUB": "rows"}, "ForwardConnection"),
        ({"ForwardConnection": f"{HUB};EntityPath=other"}, ""),
        ({"EventHubConnection": HUB, "FORWARD_EVENT_HUB": "defender-export"}, "FORWARD_EVENT_HUB"),
        (
            {"EventHubConnection": HUB, "ForwardConnection": HUB, "FORWARD_EVENT_HUB": "Defender-Export"},
            "FORWARD_EVENT_HUB",
        ),
        (
            {
                "EventHubConnection": HUB,
                "ForwardConnection": HUB.replace("ns.", "other."),
                "FORWARD_EVENT_HUB": "defender-export",
            },
            "",
        ),
        (
            {
                "EventHubConnection__fullyQualifiedNamespace": "NS.servicebus.windows.net",
                "ForwardConnection": HUB,
                "FORWARD_EVENT_HUB": "defender-export",
            },
            "FORWARD_EVENT_HUB",
        ),
        ({"OVERSIZE_CONTAINER": "dead-letters"}, "OVERSIZE_CONTAINER"),
        ({"FRESHNESS_TABLE": "Jobs"}, "FRESHNESS_TABLE"),
        ({"APPLY_BUDGET_SECONDS": "481"}, "APPLY_BUDGET_SECONDS"),
        ({"APPLY_BUDGET_SECONDS": "481", "FUNCTION_TIMEOUT_SECONDS": "900"}, ""),
        ({"FUNCTION_TIMEOUT_SECONDS": "30"}, ""),
        ({"FUNCTION_TIMEOUT_SECONDS": "30", "UPLOAD_TIMEOUT_SECONDS": "20"}, "UPLOAD_TIMEOUT_SECONDS"),
        ({"UPLOAD_TIMEOUT_SECONDS": "60", "DELIVERY_DEADLINE_PERCENT": "5"}, "UPLOAD_TIMEOUT_SECONDS"),
    ],
)
def test_what_contradicts_another_setting_is_named(env: dict[str, str], named: str) -> None:
    assert problems(**env).keys() == ({named} if named else set())


@pytest.mark.parametrize("asked", ["480", "3600", "25"])
def test_no_run_may_take_longer_than_its_function(asked: str) -> None:
    settings = Settings.load({"FUNCTION_TIMEOUT_SECONDS": "30", "APPLY_BUDGET_SECONDS": asked})
    assert settings.run_budget.total_seconds() < 30 * LONGEST_RUN


@pytest.mark.parametrize("value", ["x" * 257, "two\nlines", "a\u200bb", "tab\there"])
def test_an_instance_fits_the_value_of_a_tag(value: str) -> None:
    assert "INSTANCE_ID" in problems(INSTANCE_ID=value)


@pytest.mark.parametrize("value", ["x" * 256, "soc prod", "Überwachung", "soc/prod"])
def test_whatever_a_tag_takes_names_an_instance(value: str) -> None:
    assert problems(INSTANCE_ID=value) == {}
