"""The workbook, as the gallery template that Azure Monitor reads: posture, alerts, compliance, export health."""

from __future__ import annotations

from typing import Any, NamedTuple

from shared.watch.trend_functions import SCORE

_WORKSPACE = "microsoft.operationalinsights/workspaces"
_MINE = "| where '*' in ({Subscription}) or SubscriptionName in ({Subscription})"
_DAY = 86_400_000


class Panel(NamedTuple):
    """One query with the way it is shown and its width in percent."""

    title: str
    visualization: str
    query: str
    width: int = 50


TABS: dict[str, tuple[Panel, ...]] = {
    "Posture": (
        Panel(
            "Secure score by day",
            "timechart",
            f"""DefenderSecureScores_Standing(730d)
{_MINE}
| where Day {{TimeRange}}
| summarize Percentage = {SCORE} by Day
| order by Day asc""",
        ),
        Panel(
            "Open recommendations by severity",
            "barchart",
            f"""DefenderAssessments_Current()
{_MINE}
| where RecommendationState == 'Unhealthy'
| summarize Open = count() by Severity = iff(isempty(RecommendationSeverity), 'not given', RecommendationSeverity)""",
        ),
        Panel(
            "Open high recommendations by owner",
            "table",
            f"""DefenderAssessments_Current()
{_MINE}
| where RecommendationState == 'Unhealthy' and RecommendationSeverity !in~ ('Medium', 'Low')
| summarize Open = count(), Resources = dcount(ResourceId) by Owner = iff(isempty(Owner), 'nobody', Owner)
| top 20 by Open desc""",
        ),
        Panel(
            "Most widespread CVEs",
            "table",
            f"""union DefenderAssessments_Current(), DefenderSubAssessments_Current()
{_MINE}
| where RecommendationState == 'Unhealthy'
| mv-expand CveId = CveIds to typeof(string)
| where isnotempty(CveId)
| extend Affected = coalesce(EntityId, ResourceId)
| summarize Resources = dcount(Affected),
    CvssScore = max(CvssScore), Patchable = dcountif(Affected, Patchable == true) by CveId
| top 20 by Resources desc""",
        ),
        Panel(
            "Attack paths by target",
            "table",
            f"""DefenderAttackPaths_Current()
{_MINE}
| summarize Paths = count(), RiskLevels = make_set(RiskLevel) by TargetId
| top 20 by Paths desc""",
            100,
        ),
    ),
    "Open and fixed": (
        Panel(
            "Open now by severity",
            "barchart",
            f"""DefenderRecords_Open()
{_MINE}
| summarize Open = count() by Severity = iff(isempty(RecommendationSeverity), 'not given', RecommendationSeverity)
| order by Open desc""",
        ),
        Panel(
            "Fixed by week",
            "timechart",
            f"""DefenderRecords_Ended()
{_MINE}
| where EndedAs != 'Retired' and EndedTime {{TimeRange}}
| summarize Fixed = count() by Week = bin(EndedTime, 7d)
| order by Week asc""",
        ),
        Panel(
            "Days to fix by severity",
            "table",
            f"""DefenderRecords_Ended()
{_MINE}
| where EndedAs != 'Retired' and EndedTime {{TimeRange}}
| summarize Fixed = count(), MeanDays = round(avg(DaysOpen), 1), MedianDays = round(percentile(DaysOpen, 50), 1)
    by Severity = iff(isempty(RecommendationSeverity), 'not given', RecommendationSeverity)
| order by Fixed desc""",
        ),
        Panel(
            "What one update would close",
            "table",
            f"""DefenderRecords_Open()
{_MINE}
| where RecordKind == 'Assessment' and isnotempty(SoftwareName) and isnotempty(FixedVersion)
| summarize Closes = count(), Resources = dcount(coalesce(EntityId, ResourceId)) by SoftwareName, FixedVersion
| top 50 by Closes desc""",
        ),
    ),
    "Alerts": (
        Panel(
            "Alerts by day and severity",
            "timechart",
            f"""DefenderAlerts_Current()
{_MINE}
| where StartTime {{TimeRange}}
| summarize Alerts = count() by AlertSeverity, Day = bin(StartTime, 1d)
| order by Day asc""",
        ),
        Panel(
            "Alerts by tactic",
            "barchart",
            f"""DefenderAlerts_Current()
{_MINE}
| where StartTime {{TimeRange}}
| mv-expand Tactic = Tactics to typeof(string)
| summarize Alerts = count() by Tactic = iff(isempty(Tactic), 'none given', Tactic)
| order by Alerts desc""",
        ),
        Panel(
            "Open high and medium alerts",
            "table",
            f"""DefenderAlerts_Current()
{_MINE}
| where AlertSeverity !in~ ('Low', 'Informational') and Status !in~ ('Resolved', 'Dismissed')
| project StartTime, AlertSeverity, DisplayName, CompromisedEntity, Owner, SubscriptionName, AlertLink
| top 100 by StartTime desc""",
            100,
        ),
    ),
    "Compliance": (
        Panel(
            "Assessments passed by standard, in percent",
            "barchart",
            f"""DefenderRegulatoryCompliance_Current()
{_MINE}
| where State in ('Passed', 'Failed')
| summarize Percentage = round(100.0 * countif(State == 'Passed') / count(), 1) by ComplianceStandard
| order by Percentage asc""",
        ),
        Panel(
            "Failed controls",
            "table",
            f"""DefenderRegulatoryCompliance_Current()
{_MINE}
| where State == 'Failed'
| summarize Assessments = count(), Resources = sum(FailedResources) by ComplianceStandard, ComplianceControl
| top 50 by Resources desc""",
        ),
    ),
    "Trend": (
        Panel(
            "Secure score now, and of how many subscriptions",
            "table",
            """DefenderSecureScores_ByDay()
| top 1 by Day desc""",
        ),
        Panel(
            "Coverage by day, percent of the subscriptions judged",
            "timechart",
            """DefenderExportTrend_ByDay(730d)
| where Period {TimeRange} and Measure == 'coverage'
| project Period, Coverage = Value, Requirement = Name""",
        ),
        Panel(
            "Silent share by day, percent of the hours watched",
            "timechart",
            """DefenderExportTrend_ByDay(730d)
| where Period {TimeRange} and Measure == 'silent share'
| project Period, Silent = Value, InstanceId""",
        ),
        Panel(
            "Every figure by month; what is missing is not known",
            "table",
            """DefenderExportTrend_ByMonth(370d)
| order by Period desc, Measure asc, Name asc""",
            100,
        ),
    ),
    "Export health": (
        Panel(
            "Flow of data by kind and verdict, subscriptions",
            "table",
            """DefenderExportHealth_Latest()
| where CheckName == 'freshness'
| extend Muted = isnotnull(MutedUntil) and MutedUntil > now()
| summarize Fresh = countif(Verdict == 'fresh'), Silent = countif(Verdict == 'silent' and not(Muted)),
    SilentMuted = countif(Verdict == 'silent' and Muted), Quiet = countif(Verdict == 'quiet'),
    NotObservable = countif(Verdict == 'not observable') by RecordKind
| order by Silent desc""",
        ),
        Panel(
            "Silent subscriptions",
            "table",
            f"""DefenderExportHealth_Latest()
| where CheckName == 'freshness' and Verdict == 'silent'
{_MINE}
| project SubscriptionName, RecordKind, LastSeen, DueBy, Reason, MutedUntil
| order by LastSeen asc""",
        ),
        Panel(
            "Runs",
            "table",
            """DefenderExportRuns_CL
| project TimeGenerated, Mode, Trigger, Outcome, Created, Updated, Deleted,
    Adopted, Blocked, Failed, NotReached, Requests, DurationSeconds, Reason
| top 50 by TimeGenerated desc""",
            100,
        ),
        Panel(
            "Rows by table and day",
            "timechart",
            """DefenderRecords_All()
| summarize Rows = count() by TableName, Day = bin(TimeGenerated, 1d)
| order by Day asc""",
        ),
        Panel(
            "Delivery delay in minutes",
            "table",
            """DefenderDelivery_Delay(1d)
| extend Minutes = Delay / 1m
| summarize Rows = count(), Median = round(percentile(Minutes, 50), 1),
    P95 = round(percentile(Minutes, 95), 1) by TableName
| order by P95 desc""",
        ),
        Panel(
            "Stored against uploaded",
            "table",
            """DefenderExportHealth_Latest()
| where CheckName == 'stored'
| project WindowStart, TableName, RowsUploaded, RowsStored, Verdict, Reason, MutedUntil
| order by WindowStart desc""",
            100,
        ),
    ),
}

_SUBSCRIPTIONS = "DefenderSecureScores_Current()\n| distinct SubscriptionName\n| order by SubscriptionName asc"


def workbook() -> dict[str, Any]:
    """The workbook's document."""
    return {
        "version": "Notebook/1.0",
        "items": [
            {
                "type": 1,
                "content": {
                    "json": "Defender for Cloud across every subscription. **Export health** says whether the data"
                    " behind the other tabs is complete."
                },
                "name": "introduction",
            },
            _parameters(),
            _tabs(),
            *(_group(title, panels) for title, panels in TABS.items()),
        ],
        "fallbackResourceIds": [],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def queries(document: Any) -> list[tuple[str, str]]:
    """Every KQL text in a workbook's document, with its title; parameters are replaced as the portal does."""
    found: list[tuple[str, str]] = []
    if isinstance(document, dict):
        if isinstance(document.get("query"), str):
            title = document.get("title") or document.get("name") or "query"
            found.append(
                (title, document["query"].replace("{Subscription}", "'*'").replace("{TimeRange}", "> ago(30d)"))
            )
        for value in document.values():
            found += queries(value)
    elif isinstance(document, list):
        for value in document:
            found += queries(value)
    return found


def _parameters() -> dict[str, Any]:
    return {
        "type": 9,
        "content": {
            "version": "KqlParameterItem/1.0",
            "parameters": [
                {
                    "id": "6f7d4f0e-6a0b-4c52-9c0c-3a6f1d2c7b01",
                    "version": "KqlParameterItem/1.0",
                    "name": "TimeRange",
                    "label": "Time range",
                    "type": 4,
                    "isRequired": True,
                    "value": {"durationMs": 30 * _DAY},
                    "typeSettings": {
                        "selectableValues": [{"durationMs": days * _DAY} for days in (1, 7, 30, 90)],
                        "allowCustom": True,
                    },
                },
                {
                    "id": "6f7d4f0e-6a0b-4c52-9c0c-3a6f1d2c7b03",
                    "version": "KqlParameterItem/1.0",
                    "name": "Kept",
                    "label": "All that is kept",
                    "type": 4,
                    "isRequired": True,
                    "isHiddenWhenLocked": True,
                    "value": {"durationMs": 730 * _DAY},
                    "typeSettings": {"selectableValues": [{"durationMs": 730 * _DAY}]},
                },
                {
                    "id": "6f7d4f0e-6a0b-4c52-9c0c-3a6f1d2c7b02",
                    "version": "KqlParameterItem/1.0",
                    "name": "Subscription",
                    "type": 2,
                    "isRequired": True,
                    "multiSelect": True,
                    "quote": "'",
                    "delimiter": ",",
                    "query": _SUBSCRIPTIONS,
                    "timeContextFromParameter": "Kept",
                    "value": ["value::all"],
                    "typeSettings": {"additionalResourceOptions": ["value::all"], "selectAllValue": "*"},
                    "queryType": 0,
                    "resourceType": _WORKSPACE,
                },
            ],
            "style": "pills",
            "queryType": 0,
            "resourceType": _WORKSPACE,
        },
        "name": "parameters",
    }


def _tabs() -> dict[str, Any]:
    links = [
        {
            "id": f"6f7d4f0e-6a0b-4c52-9c0c-3a6f1d2c7c{number:02}",
            "cellValue": "tab",
            "linkTarget": "parameter",
            "linkLabel": title,
            "subTarget": title,
            "style": "link",
        }
        for number, title in enumerate(TABS)
    ]
    return {"type": 11, "content": {"version": "LinkItem/1.0", "style": "tabs", "links": links}, "name": "tabs"}


def _group(title: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    return {
        "type": 12,
        "content": {
            "version": "NotebookGroup/1.0",
            "groupType": "editable",
            "items": [_panel(panel) for panel in panels],
        },
        "conditionalVisibility": {"parameterName": "tab", "comparison": "isEqualTo", "value": title},
        "name": title,
    }


def _time(query: str) -> str:
    """The parameter with a panel's range: all that is kept where it asks a function, which looks back by itself."""
    return "TimeRange" if query.startswith(("DefenderExportRuns_CL", "DefenderRecords_All")) else "Kept"


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": 3,
        "content": {
            "version": "KqlItem/1.0",
            "query": panel.query,
            "size": 0,
            "title": panel.title,
            "timeContextFromParameter": _time(panel.query),
            "queryType": 0,
            "resourceType": _WORKSPACE,
            "visualization": panel.visualization,
        },
        "customWidth": str(panel.width),
        "name": panel.title,
    }
