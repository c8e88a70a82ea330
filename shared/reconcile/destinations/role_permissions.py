"""Whether a role's actions cover an operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def permits(permission: Mapping[str, Any], action: str) -> bool:
    """Whether a role's actions, less its notActions, cover an action; `*` stands for anything, case does not count."""
    granted, withheld = permission.get("actions") or (), permission.get("notActions") or ()
    return any(_covers(one, action) for one in granted) and not any(_covers(one, action) for one in withheld)


def permits_data(permission: Mapping[str, Any], action: str) -> bool:
    """Whether a role's data actions, less its notDataActions, cover an operation on data."""
    return permits({"actions": permission.get("dataActions"), "notActions": permission.get("notDataActions")}, action)


def _covers(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None
