"""What to do about a hop that a canary did not reach."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shared.canary.hops import Hop, State

_LATE: Mapping[Hop, str] = MappingProxyType(
    {
        Hop.SIMULATED: "Ask again: Azure Resource Manager did not take the request in time.",
        Hop.EMITTED: "Defender for Cloud took the request and shows no alert: look at Service Health, and ask again.",
        Hop.HUB: (
            "The alert is there and was not exported: run `defender-export plan` for this subscription, and look at "
            "the hub's firewall and at the right to send of Windows Azure Security Resource Provider."
        ),
        Hop.ACCEPTED: (
            "The event is in the hub and was not delivered: look at `ready`, at the lag, and at `dead-letters list`."
        ),
        Hop.STORED: (
            "Azure accepted the row and the table does not have it: look at `DCRLogErrors`, at the workspace's daily "
            "cap, and at whether the deployed tables are those of this release."
        ),
        Hop.FORWARDED: "The row was not forwarded: look at the output hub, its firewall and the right to send to it.",
    }
)
_UNSEEN = "It could not be looked at: grant the right that the reason names, and ask again."
_REFUSED: Mapping[Hop, str] = MappingProxyType(
    {
        Hop.SIMULATED: "Mend what Azure Resource Manager names: the right to simulate, or the plan.",
        Hop.EMITTED: _LATE[Hop.EMITTED],
        Hop.HUB: _LATE[Hop.HUB],
        Hop.ACCEPTED: (
            "Look at the dead letter: `dead-letters list` has it under this reason, and under its place where a route "
            "sends such alerts elsewhere."
        ),
        Hop.STORED: _LATE[Hop.STORED],
        Hop.FORWARDED: "Look at the dead letter of the output hub: `dead-letters list` has it under this reason.",
    }
)


def advice(hop: Hop, state: State) -> str:
    """What to do about a hop that is late, refused or unseen."""
    if state is State.UNSEEN:
        return _UNSEEN
    return (_REFUSED if state is State.REFUSED else _LATE)[hop]
