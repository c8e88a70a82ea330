"""`exports`, `claim` and `pull` as questions to the app."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.cli.exit_codes import DONE, NOT_WELL
from shared.cli.questions import confirmed
from shared.cli.reconcile_by_app import progress
from shared.cli.stored_files import show_exports, write_folder

if TYPE_CHECKING:
    from shared.cli.api_client import ApiClient


async def exports(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Every stored export, and what is wrong with it."""
    page = await api.document("GET", "exports", params={"limit": "1"})
    rows = await api.pages("exports")
    document = {"value": rows, "problems": page["problems"], "warnings": page["warnings"]}
    show_exports(document, as_json=arguments.json)
    return DONE


async def get(arguments: argparse.Namespace, api: ApiClient) -> int:
    """A stored export as it was put.

    Raises:
        ValueError: there is none.
    """
    found = await api.read(quote(arguments.name, safe=""))
    if found is None:
        raise ValueError(f"there is no stored export {arguments.name}: `exports list` shows them")
    print(found[0].decode("utf-8", "backslashreplace"), end="")
    return DONE


async def delete(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Delete a stored export in the version that is there now."""
    name = arguments.name
    if not confirmed(f"Delete the export {name}, and its automations with the next run?", agreed=arguments.yes):
        return NOT_WELL
    etag = (await api.names()).get(name)
    if etag is None:
        raise ValueError(f"there is no stored export {name}; one whose file was lost is ended with --direct")
    await api.delete(quote(name, safe=""), etag)
    print(f"{name}: deleted; the next run removes its automations, within the guards")
    return DONE


async def accept(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Say that the store is meant as it is."""
    names = sorted(await api.names())
    print(f"{len(names)} stored export files: {', '.join(names) or 'none'}")
    if not confirmed("Are these all files that should be in force?", agreed=arguments.yes):
        return NOT_WELL
    ended = await _job({"kind": "accept"}, api)
    print(f"the store is accepted; its number is {ended['storeNumber']} now")
    return DONE


async def claim(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Let the app take over what another app wrote for its instance."""
    question = f"Stop the other app first. Take its automations over for the app at {api.address}?"
    if not confirmed(question, agreed=arguments.yes):
        return NOT_WELL
    former = {"formerInstance": arguments.former} if arguments.former else {}
    report = await _job({"kind": "claim", **former}, api)
    reason = f"; {report['reason']}" if report["reason"] else ""
    print(f"{report['outcome']}: {report['counts']['Updated']} taken over{reason}")
    return DONE if report["outcome"] == "Succeeded" else NOT_WELL


async def pull(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Write each stored file as it is."""
    stored: dict[str, bytes] = {}
    for name in await api.names():
        found = await api.read(name)
        if found is not None:
            stored[name] = found[0]
    write_folder(arguments.folder, stored)
    print(f"{len(stored)} files; dead letters, jobs, reports and what freshness has seen are not among them")
    return DONE


async def _job(asked: dict[str, Any], api: ApiClient) -> dict[str, Any]:
    """The result of a job.

    Raises:
        ValueError: it failed; the message says why.
    """
    ended = await api.finished(await api.start(asked), progress())
    if ended["state"] != "succeeded":
        raise ValueError(ended["error"] or ended["trouble"] or f"the job {ended['id']} is {ended['state']}")
    result: dict[str, Any] = ended["result"]
    return result
