"""Management groups that stored files name by a name of several tenants, as `ready` warns of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.bootstrap import Services

_SECONDS: Final = 20
_SHOWN: Final = 10

log = logging.getLogger(__name__)


async def unclear_groups(services: Services) -> list[str]:
    """A sentence for each such name in the files of mutes, requirements, notices and routes; none where all are clear.

    The tenant is read where a file names a group without its tenant alone.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            named = {file: await _alone(services, read) for file, read in _FILES.items()}
            if not any(named.values()):
                return []
            state = await services.tenant_state.take()
    except Exception as error:  # noqa: BLE001 - the checks say what does not answer
        log.warning("management groups that files name could not be looked up: %s", type(error).__name__)
        return []
    known = state.group_names
    said = [f"{file}: {told}" for file, names in named.items() for name in names if (told := known.several(name))]
    return said if len(said) <= _SHOWN else [*said[:_SHOWN], f"and {len(said) - _SHOWN} more such names"]


async def _alone(services: Services, read: Callable[[Services], Awaitable[Iterable[str]]]) -> list[str]:
    """The groups that a file names without their tenant; none of one that can't be read, as others tell."""
    from shared.exports.diagnostics import InvalidExport

    try:
        names = await read(services)
    except InvalidExport:
        return []
    return sorted({name for name in names if name and "/" not in name})


async def _mutes(services: Services) -> Iterable[str]:
    text = await services.mutes.text()
    return [mute.management_group for mute in await services.mutes.mutes_of(text)] if text is not None else []


async def _requirements(services: Services) -> Iterable[str]:
    required, _ = await services.requirements.read()
    return [name for each in required.exceptions for name in each.management_groups]


async def _notices(services: Services) -> Iterable[str]:
    return [name for rule in (await services.notify_rules.read()).rules for name in rule.groups]


async def _routes(services: Services) -> Iterable[str]:
    routed = services.pipeline.routed
    return [name for rule in (await routed.load()).routes.rules for name in rule.groups] if routed else []


_FILES: Final = {"mutes": _mutes, "requirements": _requirements, "notices": _notices, "routes": _routes}
