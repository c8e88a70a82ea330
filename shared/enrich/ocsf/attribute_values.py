"""How a column's value becomes an attribute's: the conversions that `attribute_mapping` names.

Each takes the values of its columns, None for those without one, and gives the members to set beside one another under
the attribute's parent, and the columns whose very values they hold.  None is given where nothing fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.enrich.ocsf import attribute_mapping as tables
from shared.enrich.ocsf.epoch_time import epoch_milliseconds
from shared.enrich.ocsf.vulnerability_objects import vulnerabilities


class Given(NamedTuple):
    """Members of an object, and the columns that they hold unchanged."""

    members: Mapping[str, Any]
    holds: Collection[str]


Values = Mapping[str, Any]
Conversion = Callable[[str, Values], Given | None]
"""Takes the attribute's own name and the values by column."""

_TECHNIQUE = re.compile(r"(T[0-9]{4})(\.[0-9]{3})?")
_WHOLE = 100


def _only(values: Values) -> tuple[str, Any]:
    """The one column and its value."""
    ((column, value),) = values.items()
    return column, value


def _of_type(*types: type) -> Conversion:
    def convert(name: str, values: Values) -> Given | None:
        column, value = _only(values)
        return Given({name: value}, (column,)) if type(value) in types else None

    return convert


def _texts(name: str, values: Values) -> Given | None:
    column, value = _only(values)
    return Given({name: value}, (column,)) if _all_texts(value) else None


def _one(name: str, values: Values) -> Given | None:
    column, value = _only(values)
    return Given({name: [value]}, (column,)) if isinstance(value, str) else None


def _time(name: str, values: Values) -> Given | None:
    column, value = _only(values)
    try:
        milliseconds = epoch_milliseconds(datetime.fromisoformat(value))
    except (ValueError, TypeError):
        return None
    return Given({name: milliseconds, f"{name}_dt": value}, (column,))


def named(table: Mapping[str, tuple[int, str]], text: str) -> tuple[int, str]:
    """Number and caption of a word; Other with the word itself where the schema has none for it."""
    return table.get(text.lower(), (tables.OTHER, text))


def _word(table: Mapping[str, tuple[int, str]]) -> Conversion:
    """A word of an enumeration: its number beside its caption."""

    def convert(name: str, values: Values) -> Given | None:
        column, value = _only(values)
        if not isinstance(value, str):
            return None
        number, caption = named(table, value)
        return Given({f"{name}_id": number, name: caption}, (column,) if caption == value else ())

    return convert


def _percent(name: str, values: Values) -> Given | None:
    """A share from 0 to 1 as a whole number; the column stays in `unmapped` with all its digits."""
    _, value = _only(values)
    fits = type(value) in {int, float} and 0 <= value <= 1
    return Given({name: round(value * _WHOLE)}, ()) if fits else None


def _tags(name: str, values: Values) -> Given | None:
    column, value = _only(values)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return None
    return Given({name: [{"name": key, "value": each} for key, each in value.items()]}, (column,))


def _evidences(name: str, values: Values) -> Given | None:
    column, value = _only(values)
    return Given({name: [{"data": each} for each in value]}, (column,)) if isinstance(value, list) and value else None


def _steps(name: str, values: Values) -> Given | None:
    """Steps as one text, a line each."""
    column, value = _only(values)
    if not value or not _all_texts(value):
        return None
    return Given({name: "\n".join(value)}, () if any("\n" in step for step in value) else (column,))


def _rule(name: str, values: Values) -> Given | None:
    column, value = _only(values)
    return Given({name: {"uid": value, "type_id": 1, "type": "Rule"}}, (column,)) if isinstance(value, str) else None


def _account(name: str, values: Values) -> Given | None:
    """The account or project of another cloud, else the subscription."""
    cloud, own = str(values["Cloud"]).upper(), values["CloudAccountId"]
    if isinstance(own, str):
        number, caption = {"AWS": (10, "AWS Account"), "GCP": (11, "GCP Project")}.get(cloud, (0, "Unknown"))
        return Given({name: {"uid": own, "type_id": number, "type": caption}}, ("CloudAccountId",))
    given = {"uid": values["SubscriptionId"], "name": values["SubscriptionName"]}
    given = {member: text for member, text in given.items() if isinstance(text, str)}
    if not given:
        return None
    kind = {"type_id": 13, "type": "Azure Subscription"}
    return Given({name: {**given, **kind}}, ("SubscriptionId", "SubscriptionName"))


def _attacks(name: str, values: Values) -> Given | None:
    """MITRE ATT&CK: an entry for each tactic, sub-technique, and technique that no sub-technique names.

    A record does not say which technique serves which tactic.
    """
    lists = {column: value for column, value in values.items() if value and _all_texts(value)}
    found: list[dict[str, Any]] = [{"tactic": {"name": tactic}} for tactic in lists.get("Tactics", ())]
    techniques = dict.fromkeys([*lists.get("SubTechniques", ()), *lists.get("Techniques", ())])
    above = {match[1] for text in techniques if (match := _TECHNIQUE.fullmatch(text)) and match[2]}
    for text in techniques:
        match = _TECHNIQUE.fullmatch(text)
        if match is None:
            found.append({"technique": {"name": text}})
        elif match[2]:
            found.append({"technique": {"uid": match[1]}, "sub_technique": {"uid": text}})
        elif text not in above:
            found.append({"technique": {"uid": text}})
    return Given({name: found}, tuple(lists)) if found else None


def _reached(name: str, values: Values) -> Given | None:
    """Pass where all points are reached."""
    _, value = _only(values)
    if type(value) not in {int, float}:
        return None
    number, caption = tables.PASS if value >= 1 else tables.FAIL
    return Given({f"{name}_id": number, name: caption}, ())


def _counted(name: str, values: Values) -> Given | None:
    """Fail where a resource is unhealthy, Pass where some are healthy and none is unhealthy."""
    bad, good = values["UnhealthyResources"], values["HealthyResources"]
    if not bad and not good:
        return None
    number, caption = tables.FAIL if bad else tables.PASS
    return Given({f"{name}_id": number, name: caption}, ())


def _checks(name: str, values: Values) -> Given | None:
    """The assessment behind a state of compliance."""
    uid, title, state = values["RecommendationId"], values["RecommendationName"], values["State"]
    check = {"uid": uid, "name": title}
    check = {member: text for member, text in check.items() if isinstance(text, str)}
    if not check:
        return None
    if isinstance(state, str):
        number, caption = named(tables.VERDICTS, state)
        check |= {"status_id": number, "status": caption}
    return Given({name: [check]}, ("RecommendationId", "RecommendationName"))


def _impact(name: str, values: Values) -> Given | None:
    """A text of the source's own, which the schema calls Other."""
    column, value = _only(values)
    return Given({name: value, f"{name}_id": tables.OTHER}, (column,)) if isinstance(value, str) else None


def _graph(name: str, values: Values) -> Given | None:
    """An attack path's ends and the resources along it, as nodes."""
    uid, entry, target = (values[column] for column in ("AttackPathId", "EntryPointId", "TargetId"))
    along = values["AffectedResourceIds"]
    along = along if _all_texts(along) else []
    roles: dict[str, list[str]] = {}
    for node, role in ((entry, "entry point"), (target, "target")):
        if isinstance(node, str):
            roles.setdefault(node, []).append(role)
    for node in along:
        roles.setdefault(node, [])
    if not isinstance(uid, str) or not roles:
        return None
    nodes = [{"uid": node, **({"type": ", ".join(said)} if said else {})} for node, said in roles.items()]
    holds = ("AttackPathId", "EntryPointId", "TargetId", "AffectedResourceIds")
    return Given({name: {"uid": uid, "is_directed": True, "nodes": nodes}}, holds if along else holds[:3])


def _vulnerabilities(name: str, values: Values) -> Given | None:
    found, holds = vulnerabilities(values)
    return Given({name: found}, holds) if found else None


def _all_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(type(each) is str for each in value)


CONVERSIONS: Mapping[str, Conversion] = {
    "text": _of_type(str),
    "number": _of_type(int),
    "texts": _texts,
    "one": _one,
    "time": _time,
    "percent": _percent,
    "severity": _word(tables.SEVERITIES),
    "risk": _word(tables.RISKS),
    "confidence": _word(tables.CONFIDENCES),
    "verdict": _word(tables.VERDICTS),
    "reached": _reached,
    "counted": _counted,
    "checks": _checks,
    "tags": _tags,
    "evidences": _evidences,
    "steps": _steps,
    "rule": _rule,
    "account": _account,
    "attacks": _attacks,
    "impact": _impact,
    "graph": _graph,
    "vulnerabilities": _vulnerabilities,
}
MEANINGS: Mapping[str, str] = {
    "text": "as it is",
    "number": "as it is",
    "texts": "as it is",
    "one": "as a list of one",
    "time": "milliseconds since 1970, and as it is in the attribute of the same name with `_dt`",
    "percent": "in percent, without decimals",
    "severity": "number (`severity_id`) and caption",
    "risk": "number (`risk_level_id`) and caption",
    "confidence": "number (`confidence_id`) and caption",
    "verdict": "number (`status_id`) and caption: Pass, Warning, Fail, or Other",
    "reached": "Pass where the share is 1, else Fail",
    "counted": "Fail where a resource is unhealthy, Pass where some are healthy and none is not",
    "checks": "one check, with its verdict",
    "tags": "name and value of each",
    "evidences": "one evidence for each, whole in `data`",
    "steps": "one text, a line for each",
    "rule": "`uid` of an analytic of type Rule",
    "account": "the account of another cloud, else the subscription",
    "attacks": "one entry for each tactic, sub-technique, and technique without one",
    "impact": "as it is, with `impact_id` Other",
    "graph": "nodes: the ends, named as such, and the resources along the path",
    "vulnerabilities": (
        "one for each CVE, with CVSS, EPSS and dates where the record has them for it, the package in each version, "
        "and whether there is a fix; without a CVE one, with the scanner's id as `advisory.uid`; texts that would be "
        "repeated too often stay in `unmapped` alone"
    ),
}
"""What each conversion does, for docs/ocsf.md."""
