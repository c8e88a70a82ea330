"""`dead-letters`: what could not be delivered.

Exit codes: 0 done, 1 refused, failed, or something is left; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.command_services import caller_name, failed, moment_text, with_services
from shared.cli.exit_codes import DONE, NOT_WELL, UsageError
from shared.cli.job_results import left_of_replay
from shared.cli.questions import confirmed
from shared.cli.reconcile_by_app import progress
from shared.cli.tables import print_table
from shared.cli.time_limit import WHETHER_TAKEN, go_on_by
from shared.clock import utc_text

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient
    from shared.enrich.dead_letters.dead_letter_store import DeadLetter

_HEAD = ("name", "records", "replays", "due", "state")
_GONE = "{} is not there, or is being replayed: `dead-letters list` shows what is kept"


def register(commands: Any) -> None:
    """Add the command."""
    letters = commands.add_parser("dead-letters", help="records that could not be delivered, kept with the reason")
    below = letters.add_subparsers(title="commands", dest="letters_command", required=True, metavar="COMMAND")
    listing = below.add_parser("list", help="what is kept, blob by blob, without contents")
    _add_choice(listing)
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=with_services(_list_letters, _list_letters_by_app))
    replay = below.add_parser("replay", help="deliver them again now, whether they are due or not")
    _add_choice(replay)
    replay.set_defaults(run=with_services(_replay, _replay_by_app))
    show = below.add_parser("show", help="the letters of one blob, with their contents")
    show.add_argument("name", help="the name that `dead-letters list` shows")
    show.set_defaults(run=with_services(_show_letters, _show_letters_by_app))
    discard = below.add_parser("discard", help="delete one blob: its records are lost")
    discard.add_argument("name", help="the name that `dead-letters list` shows")
    discard.add_argument("--yes", action="store_true", help="without asking (for pipelines)")
    discard.set_defaults(run=with_services(_discard, _discard_by_app))
    for parser in (listing, replay, show, discard):
        add_target(parser)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="only those of this day")
    parser.add_argument("--reason", metavar="REASON", help="only those kept for this reason")
    parser.add_argument("--parked", action="store_true", help="only those that are no longer tried by themselves")


def day(text: str) -> str:
    """The type of an option that takes a day."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-26") from None


async def _list_letters(arguments: argparse.Namespace, services: Services) -> int:
    from shared.enrich.dead_letters.dead_letter_format import no_such_reason

    found = [letter async for letter in services.pipeline.dead_letters.find(_filter(arguments))]
    if not found and (wrong := no_such_reason(arguments.reason or "")):
        return failed(wrong)
    return _print_letters([_row(letter) for letter in found], as_json=arguments.json)


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "name": letter.name,
        "records": letter.letters,
        "replays": letter.replays,
        "parked": letter.parked,
        "outage": letter.outage,
        "due": utc_text(letter.due),
        "trouble": letter.trouble,
    }


async def _list_letters_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    asked = {"day": arguments.day, "reason": arguments.reason, "parked": "true" if arguments.parked else None}
    rows = await api.pages("dead-letters", **{name: value for name, value in asked.items() if value})
    return _print_letters(rows, as_json=arguments.json)


def _print_letters(rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> int:
    rows = list(rows)
    if as_json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print("no dead letters")
    else:
        lines = [
            (row["name"], f"{row['records']:,}", str(row["replays"]), moment_text(row["due"]), _state(row))
            for row in rows
        ]
        print_table(_HEAD, lines)
        print(f"{sum(row['records'] for row in rows):,} records in {len(lines):,} blobs")
    return DONE


def _state(row: Mapping[str, Any]) -> str:
    if row["trouble"]:
        return str(row["trouble"])
    return "parked" if row["parked"] else "waits for an outage to end" if row["outage"] else "is tried again"


def _filter(arguments: argparse.Namespace) -> Any:
    from shared.enrich.dead_letters.dead_letter_store import LetterFilter

    parked = True if arguments.parked else None
    return LetterFilter(day=arguments.day or "", reason=arguments.reason or "", parked=parked, due_only=False)


async def _replay(arguments: argparse.Namespace, services: Services) -> int:
    asked = _replay_job(arguments)
    kind = asked.pop("kind")
    go_on_by(WHETHER_TAKEN)
    job = await services.jobs.submit(kind, asked, caller_name(), now=datetime.now(UTC))
    print(f"job {job.id}: the app works on it; `jobs show {job.id} --wait` follows it")
    return DONE


async def _replay_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    job = await api.start(_replay_job(arguments))
    ended = await api.finished(job, progress())
    if ended["state"] != "succeeded":
        return failed(ended["error"] or ended["trouble"])
    result = ended["result"]
    left = left_of_replay(result)
    none = f" ({ended['progress']})" if not (result.get("blobs") or left) and ended.get("progress") else ""
    print(f"{result['delivered']:,} delivered{f', {left}' if left else ''}{none}")
    if result.get("stopped"):
        return failed(f"it ended early: {result['stopped']}")
    return NOT_WELL if left else DONE


def _replay_job(arguments: argparse.Namespace) -> dict[str, Any]:
    asked = {"kind": "replay", "day": arguments.day, "reason": arguments.reason, "parked": arguments.parked or None}
    return {name: value for name, value in asked.items() if value is not None}


async def _show_letters(arguments: argparse.Namespace, services: Services) -> int:
    import msgspec

    from shared.azure.blob_container import ChangedError
    from shared.cli.command_services import person
    from shared.enrich.dead_letters.letter_deeds import look

    try:
        letters = await services.pipeline.dead_letters.read(_blob(arguments.name))
    except ChangedError:
        return failed(_GONE.format(arguments.name))
    await look(services.trail, arguments.name, await person(services), 0, len(letters))
    for letter in letters:
        print(msgspec.json.encode(letter).decode())
    return DONE


async def _show_letters_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    name = _blob(arguments.name)
    letters = await api.pages("dead-letters/contents", name=name)
    for letter in letters:
        print(json.dumps(letter))
    if letters:
        return DONE
    found = await api.document("GET", "dead-letters/contents", params={"name": name})
    return failed(f"{name}: {found['trouble']}")


async def _discard(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli.command_services import person

    name = _blob(arguments.name)
    if not _sure(name, arguments):
        return NOT_WELL
    from shared.azure.blob_container import ChangedError

    try:
        await services.discard(name, await person(services))
    except ChangedError:
        return failed(_GONE.format(name))
    print(f"{name}: deleted")
    return DONE


async def _discard_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    name = _blob(arguments.name)
    if not _sure(name, arguments):
        return NOT_WELL
    job = await api.start({"kind": "discard", "name": name})
    ended = await api.finished(job, progress())
    if ended["state"] != "succeeded":
        return failed(ended["error"] or ended["trouble"])
    print(f"{name}: deleted")
    return DONE


def _sure(name: str, arguments: argparse.Namespace) -> bool:
    return confirmed(f"Delete {name}? Its records are nowhere else.", agreed=arguments.yes)


def _blob(name: str) -> str:
    """A name as listed, so that nothing else of the container is meant.

    Raises:
        UsageError: no blob of dead letters has such a name.
    """
    from shared.enrich.dead_letters.letter_names import LETTERS_NAME

    if not LETTERS_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of dead letters: `dead-letters list` shows them")
    return name
