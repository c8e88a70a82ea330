"""A message in the form of each channel.  Texts that others wrote never become markup.  Pure.

Teams: the payload of a Workflows webhook with an Adaptive Card (learn.microsoft.com/connectors/teams, "Microsoft Teams
webhook"); a TextRun has no Markdown (adaptivecards.io/explorer/TextRun.html).  Slack: Block Kit, where `plain_text` has
none, and `&`, `<`, `>` are escaped (docs.slack.dev/messaging/formatting-message-text).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared import __version__
from shared.clock import utc_text
from shared.notify.events import BEGAN, ENDED, HAPPENED, KINDS, Event
from shared.notify.rules import SLACK, TEAMS
from shared.shown_text import printable

DIGEST: Final = "digest"
CHECK_NAME: Final = "notice"
MAX_LINES: Final = 40
"""Events that one digest lists; a Teams message has at most 28 KB."""
_MAX_SECTION: Final = 2900  # characters; Slack takes 3,000 in a section
_WORDS: Final = {BEGAN: "", ENDED: "Over: ", HAPPENED: ""}
_APART: Final = "\u200b"
_EXPANDED: Final = ("{{", "${", "@{")


@dataclass(frozen=True)
class Message:
    """What one receiver is told: one event, or with `lines` a digest.  `id` is the event's, or the digest's."""

    id: str
    phase: str
    title: str
    severity: str
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] | None = None


def of_event(event: Event) -> Message:
    """The message of one event, at its beginning or its end."""
    kind = KINDS.get(event.kind)
    title = f"{_WORDS[event.phase]}{kind.words if kind else event.kind}: {event.name}"
    facts = (
        ("Why", "" if event.ended else event.reason),
        ("Subscription", event.subscription),
        ("Owner", event.owner),
        ("Since", utc_text(event.began, "seconds")),
        ("Until", utc_text(event.ended, "seconds") if event.ended else ""),
        ("Event", event.id),
    )
    data = {
        "kind": event.kind,
        "name": event.name,
        "reason": event.reason,
        "subscription": event.subscription,
        "owner": event.owner,
        "began": utc_text(event.began),
        "ended": utc_text(event.ended) if event.ended else None,
    }
    return Message(event.id, event.phase, title, event.severity, tuple(fact for fact in facts if fact[1]), data=data)


def of_digest(identity: str, day: str, news: Sequence[Event], still: Sequence[Event]) -> Message:
    """A day's digest: what began and ended, and what else is still open."""
    title = f"Digest of {day}: {len(news)} {'piece' if len(news) == 1 else 'pieces'} of news, {len(still)} still open"
    lines = [_line(each) for each in news] + [f"Still: {_line(each)}" for each in still]
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"and {len(lines) - MAX_LINES} more"]
    events = [*news, *still]
    worst = max((each.severity for each in events), key=("Low", "Medium", "High").index, default="Low")
    data = {"day": day, "events": [{"id": each.id, "phase": each.phase, "line": _line(each)} for each in events[:1000]]}
    return Message(identity, DIGEST, title, worst, (("Digest", identity),), tuple(lines), data)


def _line(event: Event) -> str:
    message = of_event(event)
    moment = utc_text(event.ended or event.began, "minutes")
    return f"{moment} {message.title}"


def body(message: Message, channel: str, instance_id: str, link: str) -> dict[str, Any]:
    """What is posted to a receiver of a channel."""
    if channel == TEAMS:
        return _teams(message, instance_id, link)
    if channel == SLACK:
        return _slack(message, instance_id, link)
    return {
        "format": 1,
        "id": message.id,
        "phase": message.phase,
        "severity": message.severity,
        "title": message.title,
        "instance": instance_id,
        "link": link,
        **(message.data or {}),
    }


def row(message: Message, receiver: str, instance_id: str, now: datetime) -> dict[str, Any]:
    """The row of `DefenderExportHealth_CL` on which an alert rule fires, whose action group sends mail."""
    return {
        "TimeGenerated": utc_text(now),
        "CheckName": CHECK_NAME,
        "InstanceId": instance_id,
        "Release": __version__,
        "Verdict": message.phase,
        "Reason": "; ".join([message.title, *message.lines])[:8000],
        "SubscriptionId": (message.data or {}).get("subscription") or None,
        "Details": {"id": message.id, "receiver": receiver, "severity": message.severity, **dict(message.facts)},
    }


def _teams(message: Message, instance_id: str, link: str) -> dict[str, Any]:
    parts = [_run(message.title, weight="Bolder", size="Medium")]
    parts += [_run(f"{name}: {value}") for name, value in (*message.facts, ("Deployment", instance_id))]
    parts += [_run(line, size="Small") for line in message.lines]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": parts,
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the operations page", "url": link}]
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _inert(text), **style}]}


def _inert(text: str) -> str:
    """The text without what a card's host or a workflow would fill in: `{{DATE(...)}}`, `${...}`, `@{...}`."""
    shown = printable(text)
    for opening in _EXPANDED:
        shown = shown.replace(opening, f"{opening[0]}{_APART}{opening[1]}")
    return shown


def _slack(message: Message, instance_id: str, link: str) -> dict[str, Any]:
    facts = [f"{name}: {value}" for name, value in (*message.facts, ("Deployment", instance_id))]
    blocks: list[dict[str, Any]] = [_section(message.title)]
    blocks += [_section("\n".join(map(printable, facts)))]
    for start in range(0, len(message.lines), 10):
        blocks.append(_section("\n".join(map(printable, message.lines[start : start + 10]))))
    if link:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open the operations page"}, "url": link}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": _escaped(printable(message.title)), "mrkdwn": False, "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    shown = "\n".join(printable(line) for line in text.split("\n"))
    return {"type": "section", "text": {"type": "plain_text", "emoji": False, "text": _fitting(shown)}}


def _fitting(text: str) -> str:
    """The escaped text of a section, cut before it is escaped so that no entity is cut."""
    while len(_escaped(text)) > _MAX_SECTION:
        text = text[: len(text) * 9 // 10]
    return _escaped(text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
