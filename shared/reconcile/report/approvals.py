"""Approvals of plans: who let which plan through, when, and which run carried it out.

An approval is of a plan's fingerprint, so it binds every byte that would be written.  It is good for one run within a
day; the run that takes it writes its id into it first, under the ETag that it read, so that no other run can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.clock import utc_moment, utc_text

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

FOLDER = "approvals/"
VALID = timedelta(hours=24)
_FINGERPRINT = re.compile("[0-9a-f]{64}")
_KIND = "approval"
_MEMBERS = frozenset({"fingerprint", "reviewedRun", "by", "at", "asked", "takenBy", "void"})


class ApprovalRefused(Exception):  # noqa: N818 - says what is the case
    """A plan is not approved; the message says why.  `forbidden` when it is about the person who asked."""

    def __init__(self, reason: str, *, forbidden: bool = False) -> None:
        super().__init__(reason)
        self.forbidden = forbidden


@dataclass(frozen=True)
class Approval:
    """One approval; `asked` is what the reviewed run was asked, `taken_by` the run that carried the plan out.

    `void` says why it is none any more.  `etag` is that of its record.
    """

    fingerprint: str
    reviewed_run: str
    by: str
    at: datetime
    asked: Mapping[str, Any] = field(default_factory=dict)
    taken_by: str = ""
    void: str = ""
    etag: str = ""

    @property
    def expires(self) -> datetime:
        """When it is none any more."""
        return self.at + VALID

    def open(self, now: datetime) -> bool:
        """Whether a run may still take it."""
        return not self.taken_by and not self.void and now < self.expires


class Approvals:
    """The approvals in one container, a blob each, named by the plan's fingerprint."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def approve(self, approval: Approval, now: datetime) -> Approval:
        """Keep an approval; one that was taken or is void makes room for it.

        Raises:
            ApprovalRefused: the plan is approved already.
        """
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        known = await self.find(approval.fingerprint)
        if known is not None and known.open(now):
            raise ApprovalRefused(f"the plan was approved by {known.by} at {known.at:%Y-%m-%d %H:%M}, and waits")
        try:
            return await self._write(replace(approval, etag=known.etag if known else ""))
        except (ResourceExistsError, ResourceModifiedError):
            raise ApprovalRefused("somebody else approves the same plan just now") from None

    async def find(self, fingerprint: str) -> Approval | None:
        """The approval of a plan, whatever became of it; None where there is none, or it can't be read."""
        from azure.core.exceptions import ResourceNotFoundError

        if not _FINGERPRINT.fullmatch(fingerprint):
            return None
        try:
            stream = await self._container.download_blob(f"{FOLDER}{fingerprint}.json")
            data = await stream.readall()
        except ResourceNotFoundError:
            return None
        try:
            approval = _read(stored_format.read_object(_KIND, data, _MEMBERS))
        except stored_format.KeptAsIs:
            return None
        return replace(approval, etag=str(stream.properties.etag)) if approval.fingerprint == fingerprint else None

    async def exists(self, fingerprint: str) -> bool:
        """Whether there is a record of an approval of this plan, readable or not."""
        return await self._container.get_blob_client(f"{FOLDER}{fingerprint}.json").exists()

    async def open(self, now: datetime) -> list[Approval]:
        """The approvals that wait to be carried out, oldest first."""
        names = [
            blob.name
            async for blob in self._container.list_blobs(name_starts_with=FOLDER)
            if blob.last_modified > now - VALID
        ]
        fingerprints = (name.removeprefix(FOLDER).removesuffix(".json") for name in names)
        found = [await self.find(fingerprint) for fingerprint in fingerprints]
        return sorted((each for each in found if each is not None and each.open(now)), key=lambda each: each.at)

    async def take(self, approval: Approval, run_id: str) -> bool:
        """Take an approval for a run, before it writes anything; False where another run was faster."""
        return await self._mark(replace(approval, taken_by=run_id))

    async def end(self, approval: Approval, reason: str) -> bool:
        """Say why an approval is none any more."""
        return await self._mark(replace(approval, void=reason))

    async def _mark(self, approval: Approval) -> bool:
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        try:
            await self._write(approval)
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True

    async def _write(self, approval: Approval) -> Approval:
        from azure.core import MatchConditions

        document = {
            **stored_format.stamp(_KIND),
            "fingerprint": approval.fingerprint,
            "reviewedRun": approval.reviewed_run,
            "by": approval.by,
            "at": utc_text(approval.at),
            "asked": dict(approval.asked),
            "takenBy": approval.taken_by,
            "void": approval.void,
        }
        condition: dict[str, Any] = (
            {"overwrite": True, "etag": approval.etag, "match_condition": MatchConditions.IfNotModified}
            if approval.etag
            else {"overwrite": False}
        )
        name = f"{FOLDER}{approval.fingerprint}.json"
        answer = await self._container.upload_blob(name, json.dumps(document), **condition)
        etag = (await answer.get_blob_properties()).etag if not approval.etag else approval.etag
        return replace(approval, etag=str(etag))


def _read(document: Mapping[str, Any]) -> Approval:
    """An approval as stored.

    Raises:
        stored_format.KeptAsIs: it is none, and so lets nothing through.
    """
    texts = {name: document.get(name) for name in ("fingerprint", "reviewedRun", "by", "at", "takenBy", "void")}
    asked = document.get("asked")
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(asked, Mapping):
        raise stored_format.KeptAsIs("this approval is none")
    try:
        at = utc_moment(str(texts["at"]))
    except ValueError:
        raise stored_format.KeptAsIs("this approval names no time") from None
    return Approval(
        str(texts["fingerprint"]),
        str(texts["reviewedRun"]),
        str(texts["by"]),
        at,
        asked,
        str(texts["takenBy"]),
        str(texts["void"]),
    )
