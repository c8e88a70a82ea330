"""Names of the tenant that a caller gives: each must exist, so that a misspelt one is never an empty answer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.exports.suggestions import suggest
from shared.web import request_parameters
from shared.web.problems import BAD_REQUEST, NOT_FOUND, RETRY_LATER, TOO_MANY, UNAVAILABLE, ApiError
from shared.web.request_parameters import shown

if TYPE_CHECKING:
    from shared.tenant_state import TenantState
    from shared.web.routing import Call

_READING_SECONDS = 60
_PATIENCE_SECONDS = 3
_AT_ONCE = timedelta(0)


async def read_tenant(call: Call) -> TenantState:
    """The tenant as of at most `maxAge` ago, 60 seconds by default.

    Raises:
        ApiError: 503 when nothing of it could be read, 429 when it was read anew too often.
    """
    from shared.tenant_state import MAX_FORCED, TooManyReadingsError

    age = request_parameters.number(call.request, "maxAge", _READING_SECONDS, _READING_SECONDS)
    try:
        state = await call.services.tenant_state.take(timedelta(seconds=age))
    except TooManyReadingsError:
        told = f"The tenant was read anew {MAX_FORCED} times within a minute; ask with a larger maxAge, or later."
        raise ApiError(TOO_MANY, told, headers=RETRY_LATER) from None
    if state.failed:
        raise ApiError(UNAVAILABLE, f"The tenant could not be read: {'; '.join(state.reasons)}.", headers=RETRY_LATER)
    return state


async def check_scope(
    call: Call, *, subscriptions: Collection[str] = (), groups: Collection[str] = (), tenants: Collection[str] = ()
) -> None:
    """Refuse what the tenant does not have; what was just made is looked for again.

    Where no complete reading of the last minute is at hand within 3 s nothing is refused: absence is not known then.

    Raises:
        ApiError: 404 with the nearest name that there is, 400 for a management group's that several tenants have.
    """
    if not subscriptions and not groups and not tenants:
        return
    refusal: ApiError | None = None
    for age in (None, _AT_ONCE):
        state = await _state(call, age)
        if state is None:
            break
        _refuse_unclear(state, groups)
        refusal = check_names_of(state, subscriptions=subscriptions, groups=groups, tenants=tenants)
        if refusal is None:
            return
    if refusal is not None:
        raise refusal


async def check_job_scope(call: Call, arguments: Mapping[str, Any]) -> None:
    """Refuse a job over exports, subscriptions or management groups that do not exist.

    An export that was deleted still exists where its automations do.

    Raises:
        ApiError: as `check_scope`.
    """
    one = arguments.get("export")
    exports = {*arguments.get("exports", ()), *([one] if one else [])}
    if exports:
        stored = {entry.name for entry in await call.services.exports.list()}
        if missing := sorted(exports - stored):
            live = _live_exports(await _state(call, None)) if not one else set()
            for name in missing:
                if name not in live:
                    raise _unknown("export", name, stored | live)
    await check_scope(
        call, subscriptions=arguments.get("subscriptions", ()), groups=arguments.get("managementGroups", ())
    )


def check_names_of(
    state: TenantState,
    *,
    subscriptions: Collection[str] = (),
    groups: Collection[str] = (),
    tenants: Collection[str] = (),
) -> ApiError | None:
    """The refusal of the first name that a completely read tenant does not have, if there is one."""
    if not state.complete:
        return None
    known = {
        "subscription": (subscriptions, {each.id.lower() for each in state.subscriptions}),
        "tenant": (tenants, {each.tenant_id.lower() for each in state.subscriptions}),
    }
    for what, (asked, names) in known.items():
        for name in asked:
            if name.lower() not in names:
                return _unknown(what, name, names)
    unknown = next((name for name in groups if name not in state.group_names), None)
    return None if unknown is None else _unknown("management group", unknown, state.group_names.written)


def _refuse_unclear(state: TenantState, groups: Collection[str]) -> None:
    for name in groups:
        if sentence := state.group_names.several(name):
            raise ApiError(BAD_REQUEST, f"{sentence[0].upper()}{sentence[1:]}.")


async def _state(call: Call, age: timedelta | None) -> TenantState | None:
    from azure.core.exceptions import AzureError

    from shared.tenant_state import TooManyReadingsError

    reader = call.services.tenant_state
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await (reader.take() if age is None else reader.take(age))
    except (TimeoutError, AzureError, TooManyReadingsError):
        return None


def _live_exports(state: TenantState | None) -> set[str]:
    if state is None:
        return set()
    return {
        exporter.export
        for each in state.coverage
        for exporters in each.exporters.values()
        for exporter in exporters
        if exporter.export
    }


def _unknown(what: str, name: str, known: Collection[str]) -> ApiError:
    return ApiError(NOT_FOUND, f"There is no {what} {shown(name)} that the app can see. {suggest(name, known)}".strip())
