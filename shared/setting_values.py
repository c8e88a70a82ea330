"""How the text of an app setting is read: a value, or a ValueError that says what would be right.

A message shows no value: a setting may be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

Parser = Callable[[str], object]

_HOST = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)  # source: RFC 1035, and names in use
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HUB_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.EventHub/namespaces/[^/]+/eventhubs/[^/]+",
    re.IGNORECASE,
)
_SCHEDULE_PART = re.compile(r"[0-9*/,a-zA-Z?-]+")
_SCHEDULE_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Of second, minute, hour, day, month and day of the week; source: Azure Functions, NCRONTAB expressions."""
_TAG_VALUE_LENGTH = 256  # source: Azure Resource Manager, limits of tags
_NOT_IN_PLACES = set("\"'<>{}\\")


def unusable(value: str) -> str:
    """What is wrong with a value whatever its setting is for; empty when nothing is."""
    if value.lower().startswith("@microsoft."):
        return "is a reference that was not resolved: see the app's Configuration page"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return "is in quotes: give the value alone"
    return "holds a NUL character" if "\0" in value else ""


def text(value: str) -> str:
    """The value as it is."""
    return value


def tag_value(value: str) -> str:
    """Text that a tag of Azure takes (256 characters), all of it visible."""
    fits = len(value) <= _TAG_VALUE_LENGTH and value.isprintable()
    return value if fits else _refuse(f"must have at most {_TAG_VALUE_LENGTH} visible characters")


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(value: str) -> int:
        digits = value.removeprefix("-")
        plain = digits.isascii() and digits.isdecimal() and len(digits) <= len(str(10**18))
        number = int(value) if plain else None
        if number is None or not minimum <= number <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return number

    return parse


def percent(minimum: float, maximum: float) -> Callable[[str], float]:
    """A share of a hundred within bounds."""

    def parse(value: str) -> float:
        number = _number(value)
        if not minimum <= number <= maximum:
            raise ValueError(f"must be a number from {minimum:g} to {maximum:g}")
        return number

    return parse


def seconds(minimum: int, maximum: int) -> Callable[[str], timedelta]:
    """A number of seconds within bounds."""

    def parse(value: str) -> timedelta:
        number = _number(value)
        if not minimum <= number <= maximum:
            raise ValueError(f"must be a number of seconds, from {minimum} to {maximum}")
        return timedelta(seconds=number)

    return parse


def _number(value: str) -> float:
    """The number that a text is, in plain digits; what is none compares with nothing."""
    try:
        return float(value) if value.isascii() and "_" not in value else float("nan")
    except ValueError:
        return float("nan")


def flag(value: str) -> bool:
    """True or false, in the usual words."""
    lowered = value.lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    if lowered in {"false", "0", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def choice(*allowed: str) -> Callable[[str], str]:
    """One of some words, in any casing."""

    def parse(value: str) -> str:
        for one in allowed:
            if one.lower() == value.lower():
                return one
        raise ValueError(f"must be one of {', '.join(allowed)}")

    return parse


def rule_sets(value: str) -> str:
    """Rule sets as they were written; what they may say is checked where they are used."""
    if value:
        try:
            document = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("must be JSON: a list of event sources with rule sets") from None
        if not isinstance(document, list):
            raise ValueError("must be a list of event sources with rule sets")
    return value


def names(value: str) -> tuple[str, ...]:
    """Names, separated by commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def address(value: str) -> str:
    """An https address with a host, and nothing else in it."""
    return value if not value or _is_address(value) else _refuse("must be an https address with a host, without quotes")


def receivers(value: str) -> dict[str, str]:
    """Addresses by name, as a JSON object; each over HTTPS."""
    try:
        given = json.loads(value) if value else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ValueError("must be a JSON object of addresses by name")  # noqa: TRY004 - as every setting
    if not all(isinstance(each, str) and each.startswith("https://") and _is_address(each) for each in given.values()):
        raise ValueError("must be addresses that begin with https://, by name")
    return given


def rule_endpoint(value: str) -> str:
    """The address of a data collection rule or endpoint: a host, without the path of an upload."""
    if value and not (_is_address(value) and urlsplit(value).path in {"", "/"}):
        raise ValueError("must be an https address with a host, such as https://<name>.ingest.monitor.azure.com")
    return value


def audience(value: str) -> str:
    """What a token is for: an https or api:// address, or an application's id."""
    plain = not value or _is_address(value) or _GUID.fullmatch(value)
    named = value.startswith("api://") and _plain(value) and len(value) > len("api://")
    return value if plain or named else _refuse("must be an https or api:// address, or an application's id")


def host_name(value: str) -> str:
    """A host without scheme and path."""
    if value and not (_HOST.fullmatch(value) and "." in value.rstrip(".")):
        raise ValueError("must be a host name alone, such as <name>.servicebus.windows.net")
    return value


def guid(value: str) -> str:
    """An id of Microsoft Entra ID or of a workspace."""
    return value if not value or _GUID.fullmatch(value) else _refuse("must be an id such as 8-4-4-4-12 hex digits")


def immutable_id(value: str) -> str:
    """The id that a data collection rule is called by in the Logs Ingestion API."""
    if value and not re.fullmatch(r"[\w-]+", value, re.ASCII):
        raise ValueError("must be the rule's immutable id (dcr-...), not its resource id")
    return value


def hub_resource_id(value: str) -> str:
    """The resource id of an event hub, not of its namespace."""
    if value and not _HUB_ID.fullmatch(value):
        raise ValueError("must be a hub's resource id: /subscriptions/.../namespaces/<name>/eventhubs/<hub>")
    return value


def hub_name(value: str) -> str:
    """The name of an event hub; source: Azure's naming rules for Microsoft.EventHub."""
    if value and not re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,254}[\w])?", value, re.ASCII):
        raise ValueError("must be the name of a hub: letters, digits, dots, hyphens and underscores")
    return value


def container(value: str) -> str:
    """The name of a blob container or queue; source: Azure's naming rules for Microsoft.Storage."""
    if not re.fullmatch(r"[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]", value):
        raise ValueError("must have 3 to 63 lower-case letters, digits and single hyphens")
    return value


def table(value: str) -> str:
    """The name of a storage table; source: as above."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,62}", value) or value.lower() == "tables":
        raise ValueError("must have 3 to 63 letters and digits, a letter first, and not be `tables`")
    return value


def schedule(value: str) -> str:
    """An NCRONTAB expression of five or six fields, or a time span, as the timer trigger takes them."""
    parts = value.split()
    span = re.fullmatch(r"([0-9]+\.)?[0-9]{1,2}:[0-5][0-9]:[0-5][0-9]", value) and re.search("[1-9]", value)
    if not span and not (len(parts) in {5, 6} and all(map(_in_bounds, reversed(parts), reversed(_SCHEDULE_BOUNDS)))):
        raise ValueError("must be an NCRONTAB expression of six fields, such as 0 */15 * * * *")
    return value


def _in_bounds(part: str, bounds: tuple[int, int]) -> bool:
    """Whether a field of a schedule can ever be met, as far as its numbers tell."""
    least, most = bounds
    items = [item.partition("/") for item in part.split(",")]
    numbers = [int(number) for base, _, _ in items for number in re.findall("[0-9]{1,9}", base)]
    steps = [int(step) > 0 if step.isdecimal() else not slash for _, slash, step in items]
    return bool(_SCHEDULE_PART.fullmatch(part)) and all(steps) and all(least <= each <= most for each in numbers)


def hub_connection(value: str) -> str:
    """A connection string of an Event Hubs namespace."""
    found = connection_parts(value)
    if not value:
        return value
    host = urlsplit(found.get("endpoint", "")).hostname if _plain(found.get("endpoint", "")) else None
    keyed = found.get("sharedaccesssignature") or (found.get("sharedaccesskeyname") and found.get("sharedaccesskey"))
    if not host or not keyed:
        raise ValueError(
            "must be a connection string: Endpoint=sb://<namespace>/;SharedAccessKeyName=...;SharedAccessKey=..."
        )
    return value


def hub_connections(value: str) -> dict[str, str]:
    """Connection strings of hubs' namespaces by name, as a JSON object."""
    try:
        given = json.loads(value) if value else {}
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not all(isinstance(each, str) and each for each in given.values()):
        raise ValueError("must be a JSON object of connection strings by name")
    try:
        return {name: hub_connection(each) for name, each in given.items()}
    except ValueError as error:
        raise ValueError(f"by name, each {error}") from None


def storage_connection(value: str) -> str:
    """A connection string of a storage account."""
    parts = connection_parts(value)
    flag_alone = [said.lower() for said in parts.values()] == ["true"]  # how an emulator's account is named
    signed = "sharedaccesssignature" in parts and any(name.endswith("endpoint") for name in parts)
    if value and not (flag_alone or signed or {"accountname", "accountkey"} <= parts.keys()):
        raise ValueError("must be a connection string: AccountName=...;AccountKey=...")
    return value


def connection_parts(value: str) -> dict[str, str]:
    """The parts of a connection string by lower-cased name; none where it is not one."""
    parts = [part.partition("=") for part in value.split(";") if part.strip()]
    whole = all(name.strip().isidentifier() and equals and said.strip() for name, equals, said in parts)
    return {name.strip().lower(): said.strip() for name, _, said in parts} if whole else {}


def _refuse(message: str) -> str:
    raise ValueError(message)


def _plain(value: str) -> bool:
    return not any(
        character in _NOT_IN_PLACES or not character.isprintable() or character == " " for character in value
    )


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    named = bool(_HOST.fullmatch(host)) or ":" in host  # an IPv6 address, which urlsplit has checked
    bare = not (parts.query or parts.fragment or parts.username or "//" in parts.path or value.endswith(("?", "#")))
    return _plain(value) and parts.scheme == "https" and named and port != 0 and bare
