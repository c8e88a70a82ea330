"""The commands of a file that is kept beside the export files: `check`, `show` and `put`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.command_services import failed, person, with_services
from shared.cli.exit_codes import DONE
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient
    from shared.exports.kept_file import KeptFile


async def _nothing_odd(services: Services, found: Any) -> Iterable[str]:  # noqa: ARG001 - as those that look
    return ()


@dataclass(frozen=True)
class FileCommands:
    """What is special about one file.

    `route` is that of the app's API, `kept` the file with the services of this process, `none` the sentence where there
    is none.  `read` gives what is in a file and raises InvalidExport, `told` says it in words, `odd` is worth a warning
    once it is stored.
    """

    route: str
    none: str
    kept: Callable[[Services], KeptFile]
    read: Callable[[bytes, str], Any]
    told: Callable[[Any], str]
    odd: Callable[[Services, Any], Awaitable[Iterable[str]]] = _nothing_odd

    def register(self, below: Any) -> None:
        """Add `show` and `put`."""
        show = below.add_parser("show", help="print the stored file as it was put")
        add_target(show)
        show.set_defaults(run=with_services(self._show, self._show_by_app))
        put = below.add_parser("put", help="check a file and store it in place of the one that is there")
        put.add_argument("file", type=Path)
        add_target(put)
        put.set_defaults(run=with_services(self._put, self._put_by_app))

    def checked(self, file: Path) -> tuple[bytes, Any]:
        """A file's text, and what is in it.

        Raises:
            shared.exports.diagnostics.InvalidExport: it is no such file.
        """
        text = file.read_bytes()
        return text, self.read(text, str(file))

    async def _show(self, arguments: argparse.Namespace, services: Services) -> int:  # noqa: ARG002 - as every command
        return self._shown(await self.kept(services).text())

    async def _show_by_app(self, arguments: argparse.Namespace, api: ApiClient) -> int:  # noqa: ARG002 - as every command
        return self._shown(await api.kept_file(self.route))

    def _shown(self, text: bytes | None) -> int:
        if text is None:
            return failed(self.none)
        sys.stdout.write(text.decode())
        return DONE

    async def _put(self, arguments: argparse.Namespace, services: Services) -> int:
        text, found = self.checked(arguments.file)
        await self.kept(services).put(text, await person(services))
        return self._stored(found, await self.odd(services, found))

    async def _put_by_app(self, arguments: argparse.Namespace, api: ApiClient) -> int:
        text, found = self.checked(arguments.file)
        return self._stored(found, await api.put_kept_file(self.route, text))

    def _stored(self, found: Any, odd: Iterable[str]) -> int:
        warn(odd)
        print(f"stored: {self.told(found)}")
        return DONE


def warn(odd: Iterable[str]) -> None:
    """Say what is odd."""
    for each in odd:
        print(printable(f"! {each}"), file=sys.stderr)
