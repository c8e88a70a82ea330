"""KQL's own functions that duckdb-kql does not know, put into a text before it is translated."""

from __future__ import annotations

import re

_INGESTION_TIME = re.compile(r"\bingestion_time\(\s*\)")
# A prefix ends with a dot, or is a whole address; what it is found at begins, and an address ends, where neither letter
# nor digit continues it (KQL reference: has_any_ipv4_prefix).
_PREFIXES = (
    "let has_any_ipv4_prefix = (source: string, prefixes: dynamic) { source matches regex strcat("
    "'(?:^|[^0-9A-Za-z.])(?:',"
    " replace_regex(replace_string(strcat_array(prefixes, '|'), '.', '[.]'),"
    r" '([0-9])([|]|$)', @'\1(?:$|[^0-9A-Za-z.])\2'), ')') };"
)


def with_built_ins(text: str) -> str:
    """A query, or the body of a saved function, with `ingestion_time` and `has_any_ipv4_prefix` in plain KQL.

    A row's ingestion time is when it was received: the local workspace has no time between the two.
    """
    plain = _INGESTION_TIME.sub("_TimeReceived", text)
    return f"{_PREFIXES}\n{plain}" if "has_any_ipv4_prefix(" in plain else plain


def function_with_built_ins(definition: str) -> str:
    """The same in a function's definition, `Name(parameters) { body }`."""
    head, _, body = definition.partition("{")
    return f"{head}{{ {with_built_ins(body)}"
