"""`trend`: coverage, silent time, time to repair and secure score by month.

Exit codes: 0 done, 1 an error or no figures could be had, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.command_services import failed, with_services
from shared.cli.exit_codes import DONE
from shared.cli.tables import print_table
from shared.clock import utc_text
from shared.watch.trend_figures import HEAD, line

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient

MOST_MONTHS = 24


def register(commands: Any) -> None:
    """Add the command."""
    trend = commands.add_parser("trend", help="coverage, silent time, time to repair and secure score by month")
    trend.add_argument("--months", type=_months, default=3, metavar="N", help="1 to 24, this month included; 3 if left")
    trend.add_argument("--days", action="store_true", help="by day instead of by month")
    trend.add_argument("--json", action="store_true")
    add_target(trend)
    trend.set_defaults(run=with_services(_trend, _trend_by_app))


def _months(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_MONTHS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_MONTHS}")
    return int(text)


async def _trend(arguments: argparse.Namespace, services: Services) -> int:
    now = datetime.now(UTC)
    figures = await services.figures(now, arguments.months)
    return _given({"generated": utc_text(now), **figures.document()}, arguments)


async def _trend_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    return _given(await api.document("GET", "trend", params={"months": str(arguments.months)}), arguments)


def _given(document: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps(document, indent=1))
    elif not document["problem"]:
        print_table(HEAD, [line(each) for each in document["days" if arguments.days else "months"]])
        for each in document.get("notCounted", ()):
            print(f"! {each}")
    return failed(document["problem"]) if document["problem"] else DONE
