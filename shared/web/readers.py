"""Limited readers: who they are, and what each route does for them.

A caller with a role of the readers' file, and none of the roles that see all, is limited.  Handlers are then given
services of which only that part of the tenant can be had (`shared.web.limited_services`), so none of them filters.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shared.exports.diagnostics import InvalidExport
from shared.readers_file import MAX_BYTES, PREFIX, Limit, Readers, perhaps_more, read_readers, seen_by, unresolved
from shared.web.authorization import ALL_SEEN
from shared.web.limited_part import part_of
from shared.web.limited_services import NOT_READ, Nothing, Theirs
from shared.web.problems import FORBIDDEN, RETRY_LATER, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from shared.bootstrap import Services
    from shared.tenant_state import TenantState
    from shared.web.limited_part import Part

_APP = Path(__file__).parents[2]
_REFUSED = "This is about the whole tenant, and your role sees a part of it: it needs the app role Exports.Read."


class Decision(Enum):
    """What a route does for limited readers."""

    THEIRS = "answers for their part of the tenant"
    NOTHING = "answers as where there is none of what it shows"
    OPEN = "tells nothing of the tenant"
    REFUSED = "is closed"


DECISIONS = {
    "get_coverage": Decision.THEIRS,
    "get_status": Decision.THEIRS,
    "get_evidence": Decision.THEIRS,
    "get_freshness": Decision.THEIRS,
    "list_canaries": Decision.THEIRS,
    "list_exports": Decision.NOTHING,
    "get_export": Decision.NOTHING,
    "get_job": Decision.NOTHING,
    "list_jobs": Decision.NOTHING,
    "list_runs": Decision.NOTHING,
    "get_run": Decision.NOTHING,
    "list_dead_letters": Decision.NOTHING,
    "get_requirements": Decision.NOTHING,
    "get_notify": Decision.NOTHING,
    "get_mutes": Decision.NOTHING,
    "get_metrics": Decision.NOTHING,
    "get_trend": Decision.NOTHING,
    "operations_page": Decision.OPEN,
    "openapi": Decision.OPEN,
    "ready": Decision.REFUSED,
    "plan_changes": Decision.REFUSED,
    "import_live": Decision.REFUSED,
    "validate_export": Decision.REFUSED,
    "read_dead_letter": Decision.REFUSED,
    "get_shapes": Decision.REFUSED,
    "put_export": Decision.REFUSED,
    "delete_export": Decision.REFUSED,
    "put_requirements": Decision.REFUSED,
    "put_notify": Decision.REFUSED,
    "put_mutes": Decision.REFUSED,
    "start_job": Decision.REFUSED,
    "cancel_job": Decision.REFUSED,
    "approve_plan": Decision.REFUSED,
}
"""Of each operation; one that is not here is closed."""

_read: dict[str, Readers] = {}


def readers_of(name: str) -> Readers:
    """What the readers' file declares; relative names begin at the app's folder.  It is read once a process.

    Raises:
        InvalidExport: it says something else.
        OSError: it can't be read.
    """
    if name not in _read:
        with (_APP / name).open("rb") as file:
            _read[name] = read_readers(file.read(MAX_BYTES + 1), Path(name).name)
    return _read[name]


def limiting(roles: Collection[str], name: str, operation: str) -> frozenset[str]:
    """The roles that limit a caller; none where the caller sees all, or has no role that is declared.

    Raises:
        ApiError: 503 where the file can't be read, 403 where the operation is closed to limited readers.
    """
    mine = {role for role in roles if role.startswith(PREFIX)}
    if not mine or ALL_SEEN & set(roles):
        return frozenset()
    try:
        declared = readers_of(name)
    except (InvalidExport, OSError):
        told = "What your role may see can't be told, as the file of readers can't be read: nothing is shown."
        raise ApiError(UNAVAILABLE, told, headers=RETRY_LATER) from None
    found = frozenset(mine & declared.keys())
    if found and DECISIONS.get(operation, Decision.REFUSED) is Decision.REFUSED:
        raise ApiError(FORBIDDEN, _REFUSED)
    return found


async def limited(services: Services, roles: Collection[str], operation: str) -> Services:
    """The services as a caller with these limiting roles may have them.

    Raises:
        ApiError: 503 where it can't be told which subscriptions the roles see.
    """
    decision = DECISIONS[operation]
    if decision is not Decision.THEIRS:
        return cast("Services", Nothing(services))
    declared = readers_of(services.settings.readers_file)
    limits = [declared[role] for role in sorted(roles)]
    state = await services.tenant_state.take()
    if state.failed:
        raise ApiError(UNAVAILABLE, NOT_READ, headers=RETRY_LATER)
    return cast("Services", Theirs(services, _parts.of(state, limits)))


class _Parts:
    """The parts of the newest reading by their limits: with 10,000 subscriptions one takes a tenth of a second."""

    def __init__(self) -> None:
        self._state: TenantState | None = None
        self._made: dict[tuple[Limit, ...], Part] = {}

    def of(self, state: TenantState, limits: Sequence[Limit]) -> Part:
        """The part that these limits let be seen.

        Raises:
            ApiError: 503 where it can't be told.
        """
        if self._state is not state:
            self._state, self._made = state, {}
        key = tuple(limits)
        if key not in self._made:
            if missing := unresolved(limits, state.subscriptions):
                told = f"What your role may see can't be told: {', '.join(missing)}. Nothing is shown."
                raise ApiError(UNAVAILABLE, told, headers=RETRY_LATER)
            ids = seen_by(limits, state.subscriptions)
            more = perhaps_more(limits, state.subscriptions)
            tenants = {tenant for limit in limits for tenant in limit.tenants}
            self._made[key] = part_of(state, ids, perhaps_more=more, tenants=tenants)
        return self._made[key]


_parts = _Parts()


async def well(services: Services) -> str:
    """What there is to say of the readers' file.

    Raises:
        ValueError: what is wrong with it, in a sentence.
    """
    name = services.settings.readers_file
    try:
        declared = readers_of(name)
    except InvalidExport as invalid:
        raise ValueError(f"no limited reader is let in: {invalid.findings[0]}") from None
    except OSError as error:
        raise ValueError(f"no limited reader is let in: {name} can't be read ({type(error).__name__})") from None
    state = await services.tenant_state.take()
    if state.failed:
        raise ValueError("the tenant can't be read, so no limited reader sees anything")
    for role, limit in declared.items():
        if missing := unresolved([limit], state.subscriptions):
            raise ValueError(f"{role} sees nothing: {', '.join(missing)}")
    return f"{len(declared)} limited readers"
