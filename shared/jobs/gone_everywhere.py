"""What ended in each workspace where records lie: the default one's comparison first, then each further place's.

Each workspace is compared by itself, with a pass, a guard and a lease of its own: what one lacks says nothing of what
another has, and one that can't be asked keeps no other from being compared.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.lifecycle.gone_check import GoneCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GoneChecks:
    """The comparison of the default workspace, those of further places by name, and why others are not compared."""

    own: GoneCheck
    places: Mapping[str, GoneCheck] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()

    async def tick_places(self, now: datetime) -> None:
        """One tick of each further place; what can't be compared is said in the log."""
        for why in self.unseen:
            log.info("what ended is %s", why)
        for name, check in self.places.items():
            if why := await unknown(name, check.tick(now)):
                log.warning("what ended is %s", why)

    async def places_told(self, now: datetime, most_percent: float | None) -> dict[str, Any]:
        """A pass begun at each further place, for the timer to go on with; nothing where there are no routes."""
        if not self.places and not self.unseen:
            return {}
        said = list(self.unseen)
        begun = {}
        for name, check in self.places.items():
            why = await unknown(name, check.begin(now, most_percent))
            latest = None if why else await check.latest()
            said += [why] if why else []
            if latest is not None:
                begun[name] = latest.told()
        return {"places": begun, "notKnown": said}


async def unknown(place: str, comparing: Awaitable[object]) -> str:
    """Why it is not known what ended at a place; empty where it was compared, or another worker does so."""
    from azure.core.exceptions import AzureError

    from shared.azure.blob_container import StoreError
    from shared.lifecycle.open_in_tables import UnknownError
    from shared.reconcile.apply.run_lock import LeaseHeld
    from shared.stored_format import KeptAsIs

    try:
        await comparing
    except LeaseHeld as held:
        log.info("place %s left to another: %s", place, held)
    except (UnknownError, KeptAsIs) as why:
        return f"not known for place {place}: {why}"
    except (AzureError, StoreError) as error:
        return f"not known for place {place}: {type(error).__name__}"
    return ""
