"""Looks at dead letters and their discarding, as deeds for the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.audit.deed import DISCARD, LOOK, Deed, digest
from shared.azure.blob_container import StoreError
from shared.enrich.dead_letters.dead_letter_store import LetterFilter

if TYPE_CHECKING:
    from shared.audit.trail import Trail
    from shared.enrich.dead_letters.dead_letter_store import DeadLetters


async def look(trail: Trail, name: str, actor: str, first: int, letters: int) -> None:
    """Note that a person is shown letters of a blob, from the place `first` on; call it before they are shown.

    Raises:
        azure.core.exceptions.AzureError: it is not noted, and they must not be shown.
    """
    await trail.note(Deed.now(LOOK, name, actor, details={"first": first, "letters": letters}))


async def discard(letters: DeadLetters, trail: Trail, name: str, actor: str, job: str = "") -> None:
    """Delete one blob of letters, whatever is in it, and note who did.

    Raises:
        shared.azure.blob_container.StoreError: it is not there, is being replayed, or can't be deleted.
        azure.core.exceptions.AzureError: it is not noted, and so not deleted.
    """
    before = digest(await letters.contents(name))
    more = {"id": f"job-{job}", "details": {"job": job}} if job else {}
    async with trail.doing(Deed.now(DISCARD, name, actor, before=before, **more), (StoreError,)):
        await letters.discard(name)


class DiscardWitness:
    """Tells whether a discard that was cut off was done: what is still there was not, what is gone may be delivered."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    async def __call__(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """See `shared.audit.trail.Witness`."""
        day = deed.target.partition("/")[0]
        choice = LetterFilter(day=day, names=frozenset({deed.target}), parked=None, due_only=False)
        async for _ in self._letters.find(choice):
            return False
        return None
