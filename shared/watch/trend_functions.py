"""The KQL of every figure over time, once: saved functions, workbook, API, page and evidence are made from it.

`since` is a KQL expression of the first moment looked at; whole days (UTC) from there on.
"""

from __future__ import annotations

LOOKBACK = "lookback: timespan = 90d"
"""The parameter of the saved functions."""
DAYS, MONTHS = "startofday(ago({lookback}))", "startofmonth(ago({lookback}))"
"""Where `since` lies: at the beginning of a day, or of a month."""

STANDS_DAYS = 9
"""A score comes weekly at the latest, in the snapshot, and stands until the next; after so many days it is unknown."""
IN_ORDER = "iff(EventTime > EnqueuedTime + 1d or EventTime < datetime(1970-01-01), EnqueuedTime, EventTime)"
"""A row's place among others of its record, as `shared.enrich.record_functions` has it."""
# https://learn.microsoft.com/azure/defender-for-cloud/secure-score-security-controls: each subscription's score counts
# by its weight, which Defender for Cloud gives it (property `weight` of Microsoft.Security/secureScores).
SCORE = "round(100.0 * sum(CurrentScore / MaxScore * Weight) / sum(Weight), 2)"
"""The secure score of several subscriptions, in percent."""

MEASURES = ("coverage", "silent time", "silent share", "time to repair", "secure score")
_STANDING = "Action, CurrentScore, MaxScore, Weight, SubscriptionName, ManagementGroupPath"
_CHECK_STANDS = "2h"
_HEALTH = "DefenderExportHealth_CL"


def standing_scores(since: str, more: str = "") -> str:
    """For each subscription and day its newest score of those nine days, unless a newer record took it back.

    `more` are further columns of the answer.
    """
    return f"""DefenderSecureScores_CL
| where TimeGenerated > {since} - 12d and ScoreName =~ 'ascScore'
| extend OrderTime = {IN_ORDER}, Taken = coalesce(EnqueuedTime, TimeGenerated), Number = coalesce(SequenceNumber, long(-1))
| summarize arg_max(Number, {_STANDING}) by SubscriptionId, OrderTime, Taken
| summarize arg_max(Taken, {_STANDING}) by SubscriptionId, OrderTime
| summarize arg_max(OrderTime, {_STANDING}) by SubscriptionId, Day = bin(OrderTime, 1d)
| extend Later = dynamic({list(range(STANDS_DAYS))})
| mv-expand Later to typeof(long)
| extend Day = Day + Later * 1d
| where Day >= {since} and Day <= now()
| summarize arg_max(OrderTime, {_STANDING}) by SubscriptionId, Day
| where (isempty(Action) or Action != 'Delete') and isnotnull(CurrentScore) and MaxScore > 0 and Weight > 0
| project Day, SubscriptionId, SubscriptionName, ManagementGroupPath, CurrentScore, MaxScore, Weight{more}"""  # noqa: E501 - KQL reads best one operator a line


def score_by_day(since: str) -> str:
    """The secure score of all subscriptions by day, and of how many."""
    return f"""{standing_scores(since)}
| summarize Percentage = {SCORE}, Subscriptions = count() by Day
| order by Day asc"""


def coverage_by_day(since: str) -> str:
    """How many subscriptions met each requirement by the last check of a day that read all of the tenant."""
    return f"""{_HEALTH}
| where TimeGenerated >= {since} and CheckName == 'coverage' and tobool(Details.complete)
| summarize arg_max(TimeGenerated, Details) by InstanceId, Requirement, Day = bin(TimeGenerated, 1d)
| extend Met = tolong(Details.met), NotMet = tolong(Details.notMet), Excepted = tolong(Details.excepted), NotJudged = tolong(Details.notJudged)
| extend Subscriptions = Met + NotMet + Excepted
| where Subscriptions > 0
| project Day, InstanceId, Requirement, Percentage = round(100.0 * Met / Subscriptions, 2), Subscriptions, Met, NotMet, Excepted, NotJudged
| order by Day asc"""  # noqa: E501 - KQL reads best one operator a line


def silence_by_day(since: str) -> str:
    """Hours of kinds of record of subscriptions that were watched and silent, by the day of the check that said so.

    What a check says stands until the next one, two hours at most; what the newest says, for one.
    """
    return f"""{_HEALTH}
| where TimeGenerated >= {since} and CheckName == 'silence'
| summarize Silent = max(tolong(Details.silent)), Watched = max(tolong(Details.watched)) by InstanceId, TimeGenerated
| sort by InstanceId asc, TimeGenerated asc
| summarize Times = make_list(TimeGenerated), Silents = make_list(Silent), Watches = make_list(Watched) by InstanceId
| mv-expand with_itemindex = Place Checked = Times to typeof(datetime), Silent = Silents to typeof(long), Watched = Watches to typeof(long)
| extend Following = coalesce(todatetime(Times[Place + 1]), Checked + 1h)
| extend Hours = iff(Following - Checked > {_CHECK_STANDS}, {_CHECK_STANDS} / 1h, (Following - Checked) / 1h)
| summarize KnownHours = sum(Hours), WatchedHours = sum(Hours * Watched), SilentHours = sum(Hours * Silent) by InstanceId, Day = bin(Checked, 1d)
| where WatchedHours > 0
| project Day, InstanceId, Percentage = round(100.0 * SilentHours / WatchedHours, 2), SilentHours = round(SilentHours, 2), WatchedHours = round(WatchedHours, 2), KnownHours = round(KnownHours, 2)
| order by Day asc"""  # noqa: E501 - KQL reads best one operator a line


def repairs(since: str) -> str:
    """Silences that ended with records that came, each once: from when the snapshot was due until one came."""
    return f"""{_HEALTH}
| where TimeGenerated >= {since} and CheckName == 'repair' and isnotnull(WindowStart) and isnotnull(WindowEnd)
| summarize EndedTime = min(WindowEnd), SubscriptionName = take_any(SubscriptionName) by InstanceId, SubscriptionId, RecordKind, BeganTime = WindowStart
| where EndedTime >= {since}
| project EndedTime, InstanceId, SubscriptionId, SubscriptionName, RecordKind, BeganTime, HoursToRepair = (EndedTime - BeganTime) / 1h
| order by EndedTime asc"""  # noqa: E501 - KQL reads best one operator a line


def by_day(since: str) -> str:
    """Each figure that has a value on each day: `Value` is the figure, `Over` what it stands on."""
    return f"""union
    ({coverage_by_day(since)}
    | project Period = Day, InstanceId, Measure = 'coverage', Name = Requirement, Value = Percentage, Over = toreal(Subscriptions), Days = long(1)),
    ({silence_by_day(since)}
    | extend Each = dynamic(['silent time', 'silent share'])
    | mv-expand Measure = Each to typeof(string)
    | project Period = Day, InstanceId, Measure, Name = '', Value = iff(Measure == 'silent time', SilentHours, Percentage), Over = WatchedHours, Days = long(1)),
    ({score_by_day(since)}
    | project Period = Day, InstanceId = '', Measure = 'secure score', Name = '', Value = Percentage, Over = toreal(Subscriptions), Days = long(1))
| order by Period asc, Measure asc, Name asc, InstanceId asc"""  # noqa: E501 - KQL reads best one operator a line


def by_month(since: str) -> str:
    """Each figure by month: coverage and score as on the last day that is known, the others over the whole month.

    `Days` says on how many days of the month the figure is known.
    """
    return f"""union
    ({coverage_by_day(since)}
    | summarize arg_max(Day, Percentage, Subscriptions), Days = count() by InstanceId, Requirement, Period = startofmonth(Day)
    | project Period, InstanceId, Measure = 'coverage', Name = Requirement, Value = Percentage, Over = toreal(Subscriptions), Days),
    ({silence_by_day(since)}
    | summarize Silent = sum(SilentHours), Watched = sum(WatchedHours), Days = count() by InstanceId, Period = startofmonth(Day)
    | join kind=leftouter (
        {repairs(since)}
        | summarize Mean = avg(HoursToRepair), Repairs = count() by InstanceId, Period = startofmonth(EndedTime)
        ) on InstanceId, Period
    | extend Each = dynamic(['silent time', 'silent share', 'time to repair'])
    | mv-expand Measure = Each to typeof(string)
    | extend Value = case(Measure == 'silent time', Silent, Measure == 'silent share', 100.0 * Silent / Watched, Mean)
    | extend Over = iff(Measure == 'time to repair', toreal(coalesce(Repairs, 0)), Watched)
    | project Period, InstanceId, Measure, Name = '', Value = round(Value, 2), Over = round(Over, 2), Days),
    ({score_by_day(since)}
    | summarize arg_max(Day, Percentage, Subscriptions), Days = count() by Period = startofmonth(Day)
    | project Period, InstanceId = '', Measure = 'secure score', Name = '', Value = Percentage, Over = toreal(Subscriptions), Days)
| order by Period asc, Measure asc, Name asc, InstanceId asc"""  # noqa: E501 - KQL reads best one operator a line


FUNCTIONS = {
    "DefenderSecureScores_Standing": (
        standing_scores, DAYS, "Each subscription's score by day, as it stands: the newest of nine days.",
    ),
    "DefenderSecureScores_ByDay": (
        score_by_day, DAYS, "The secure score of all subscriptions by day, weighted as Defender for Cloud does.",
    ),
    "DefenderExportCoverage_ByDay": (
        coverage_by_day, DAYS, "How many subscriptions met each requirement by day, and the share of those judged.",
    ),
    "DefenderExportSilence_ByDay": (
        silence_by_day, DAYS, "Hours watched and silent by day; a day that is missing is not known.",
    ),
    "DefenderExport_Repairs": (
        repairs, DAYS, "Silences that ended with records that came, each with its hours from due to repaired.",
    ),
    "DefenderExportTrend_ByDay": (
        by_day, DAYS, "Coverage, silent time and share, and secure score by day; what is missing is not known.",
    ),
    "DefenderExportTrend_ByMonth": (
        by_month, MONTHS, "Coverage, silent time and share, time to repair and secure score by month.",
    ),
}  # fmt: skip
"""The saved functions: by name what makes their text, where it begins, and what they answer."""


def asked_scores(days: int) -> str:
    """What stands of the last so many days, with the time that tells which of two workspaces has the newer score."""
    return standing_scores(DAYS.format(lookback=f"{days}d"), ", OrderTime")


def saved(name: str) -> str:
    """The body of a saved function, with its parameter `lookback`."""
    make, since, _ = FUNCTIONS[name]
    return make(since.format(lookback="lookback"))


def asked(name: str, days: int) -> str:
    """The same as a query that looks so many days back."""
    make, since, _ = FUNCTIONS[name]
    return make(since.format(lookback=f"{days}d"))
