"""The report as a page to print: HTML without scripts, and with nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shared.shown_text import printable
from shared.watch.evidence.csv_form import NOTHING
from shared.watch.trend_figures import HEAD, line

STYLE: Final = """
body { font: 11pt/1.4 system-ui, sans-serif; font-variant-ligatures: none; color: #111; background: #fff;
  margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: 9pt; margin: .5rem 0 1rem; }
th, td { border: 1px solid #767676; padding: .25rem .4rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; hyphens: none; }
th { background: #eee; } thead { display: table-header-group; } tr { break-inside: avoid; }
.facts th { width: 14rem; }
@page { margin: 1.5cm; }
@media print { body { margin: 0; max-width: none; padding: 0; } }
"""
"""All that a policy has to let in."""


def html_page(document: Mapping[str, Any]) -> str:
    """The whole report."""
    return "".join(_parts(document))


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    title = f"Evidence of continuous export: {document['instance']}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>{_text(title)}</h1>"
    yield _facts(_about(document))
    if document["reasons"]:
        yield "<h2>What may be missing</h2>" + _list(document["reasons"])
    for requirement in document["requirements"]:
        rows = [row for row in document["value"] if row["requirement"] == requirement["name"]]
        yield from _requirement(requirement, rows)
    yield "<h2>Exceptions</h2>"
    yield _exceptions(document["exceptions"]) if document["exceptions"] else "<p>None are granted.</p>"
    if mutes := document.get("mutes"):
        yield "<h2>Muted during these months</h2>"
        yield _table(("What", "Name", "Owner", "Reason", "From", "Until", "Each week", "Holds now"), map(_mute, mutes))
    if trouble := document.get("muteTrouble"):
        yield f"<p>{_text(trouble)}</p>"
    if trend := document.get("trend"):
        yield "<h2>Over the last months, of the whole deployment</h2>"
        yield f"<p>{_text(trend['problem'])}</p>" if trend["problem"] else _table(HEAD, map(line, trend["months"]))
        yield from (f"<p>{_text(each)}</p>" for each in trend.get("notCounted", ()))
    yield "<h2>What this report can't show</h2>" + _list(document["limits"])
    yield "</body></html>"


def _about(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sources = document["sources"]
    yield "Made", f"{document['generated']} by {document['by']}"
    yield "Deployment", f"{document['instance']}, tenant {document['tenant'] or 'not set'}"
    yield "Release", document["release"]
    yield "Read", f"{document['taken']}: {sources['subscriptions']} subscriptions, {sources['automations']} automations"
    yield "Complete", "yes" if document["complete"] else "no: see what may be missing"
    yield "SHA-256 of what was read", sources["sha256"]
    yield "SHA-256 of the requirements", sources["requirementsSha256"] or "there is no file of requirements"


def _requirement(requirement: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    benchmark = requirement.get("benchmark")
    yield f"<h2>{_text(requirement['name'])}</h2>"
    counts = ", ".join(f"{number} {word}" for word, number in requirement["counts"].items())
    facts = [("Conclusion", requirement["conclusion"]), ("Subscriptions", counts)]
    if benchmark:
        facts += [
            ("Benchmark", f"{benchmark['name']} {' and '.join(benchmark['versions'])}"),
            ("Recommendation", f"{benchmark['number']}: {benchmark['title']}"),
            ("Profile", f"level {benchmark['level']}, assessment {benchmark['assessment']}"),
        ]
    elif requirement["description"]:
        facts.append(("Asks", requirement["description"]))
    yield _facts(facts)
    if requirement["questions"]:
        lines = ((each["asks"], each["answeredBy"]) for each in requirement["questions"])
        yield _table(("What the audit asks", "What answers it"), lines)
    if rows:
        heads = ("Subscription", "Id", "Management groups", "State", "Verdict", "Reason", "Note", "Exception")
        yield _table(heads, map(_verdict, rows))
    else:
        yield f"<p>{NOTHING[0].upper()}{NOTHING[1:]}, so nothing was judged.</p>"


def _verdict(row: Mapping[str, Any]) -> tuple[str, ...]:
    exception, above = row.get("exception"), " / ".join(row["managementGroups"])
    told = exception and "{owner}, until {until} ({state}): {reason}".format(**exception)
    return (
        row["subscription"], row["subscriptionId"], above, row["state"], row["verdict"], row["reason"], row["note"],
        told or "",
    )  # fmt: skip


def _mute(mute: Mapping[str, Any]) -> tuple[str, ...]:
    texts = (str(mute[name]) for name in ("what", "name", "owner", "reason", "from", "until", "weekly"))
    return (*texts, "yes" if mute["inForce"] else "no")


def _exceptions(exceptions: Iterable[Mapping[str, Any]]) -> str:
    heads = ("Requirement", "Owner", "Reason", "Until", "State", "For", "Subscriptions covered")
    return _table(
        heads,
        (
            (
                each["requirement"], each["owner"], each["reason"], each["until"], each["state"],
                ", ".join([*each["subscriptions"], *each["managementGroups"]]), str(each["covers"]),
            )
            for each in exceptions
        ),
    )  # fmt: skip


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(said)}</td></tr>' for name, said in facts)
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(each)}</li>' for each in sentences)}</ul>"


def _text(text: str) -> str:
    """A text as it is read: what would turn a line round or break it is shown by its escape."""
    return html.escape(printable(text).encode("utf-8", "replace").decode())
