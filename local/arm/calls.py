"""The vocabulary of the ARM emulator: a call, its answer, a refusal, and the table of operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.tenant import Tenant, ids
from local.tokens import Claims

if TYPE_CHECKING:
    from local.arm import Arm

Document = dict[str, Any]


class ArmError(Exception):
    """A refusal in ARM's CloudError shape: `{error: {code, message, target, details}}`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str = "",
        details: Sequence[Document] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = list(details)
        self.headers = dict(headers or {})

    def body(self) -> Document:
        """The error as JSON."""
        error: Document = {"code": self.code, "message": self.message}
        if self.target:
            error["target"] = self.target
        if self.details:
            error["details"] = self.details
        return {"error": error}


@dataclass(frozen=True)
class Reply:
    """An answer: a status, a body (JSON, already encoded bytes, or none) and headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One authenticated request on its way to a handler; `parameters` are the path's, as written."""

    arm: Arm
    operation: Operation
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    caller: Claims
    auxiliary: tuple[Claims, ...] = ()

    @property
    def tenant(self) -> Tenant:
        """The state."""
        return self.arm.tenant

    @property
    def version(self) -> str:
        """The api-version asked for."""
        return self.query.get("api-version", "")

    @property
    def subscription(self) -> str:
        """The subscription in the path, in lower case, or an empty text."""
        return ids.subscription_of(self.path)

    @property
    def is_write(self) -> bool:
        """Whether the request may change something."""
        return not self.operation.reads

    def document(self) -> Document:
        """The body as a JSON object; ArmError when it is none."""
        if not isinstance(self.body, dict):
            raise ArmError(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'a JSON object was expected'.",
            )
        return self.body


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Operation:
    """One row of the table: what a method on a path template does, and the role action it takes.

    `{scope}` in a template stands for any id, other names for one segment.
    `reads` is set for a POST that changes nothing, `open` where a sign-in is enough and the answer is filtered.
    """

    method: str
    template: str
    action: str
    versions: tuple[str, ...]
    handler: Handler
    reads: bool = False
    open: bool = False

    def __post_init__(self) -> None:
        if self.method in {"GET", "HEAD"}:
            object.__setattr__(self, "reads", True)

    @property
    def resource_type(self) -> str:
        """`Namespace/type` of the template's last provider, or an empty text."""
        _, found, tail = self.template.rpartition("/providers/")
        return "/".join(tail.split("/")[:2]) if found else ""


class Operations:
    """Finds the operation for a request; paths are matched without regard to case."""

    def __init__(self, *tables: Sequence[Operation]) -> None:
        self._rows = [(compile_template(one.template), one) for table in tables for one in table]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation and the path's parameters.

        Raises:
            ArmError: no such path (404), or not this method on it (405).
        """
        known = False
        for pattern, operation in self._rows:
            match = pattern.fullmatch(path)
            if match and operation.method == method:
                return operation, match.groupdict()
            known = known or match is not None
        if known:
            raise ArmError(405, "MethodNotAllowed", f"The request method '{method}' is not allowed on '{path}'.")
        raise ArmError(404, "InvalidResourceType", f"The resource type of '{path}' could not be found.")

    def known_versions(self, operation: Operation) -> frozenset[str]:
        """The api-versions that know an operation's path, by whatever method."""
        same = [one for _, one in self._rows if one.template == operation.template]
        return frozenset(version for one in same for version in one.versions)


def compile_template(template: str) -> re.Pattern[str]:
    """A template as a pattern over a whole path."""
    pieces = re.split(r"\{(\w+)\}", template.rstrip("/"))
    pattern = re.escape(pieces[0])
    for name, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        pattern += f"(?P<{name}>(?:/.+)?)" if name == "scope" else f"(?P<{name}>[^/]+)"
        pattern += re.escape(literal)
    return re.compile(pattern + "/?", re.IGNORECASE)


def authorization_scope(method: str, path: str) -> str:
    """The scope whose roles decide: the resource itself, or what a collection or an action belongs to."""
    path = path.rstrip("/")
    if method == "POST":
        path = path.rsplit("/", 1)[0]
    head, found, tail = path.rpartition("/providers/")
    if found:
        _namespace, *segments = tail.split("/")
        if len(segments) == 1:
            return head
        return path.rsplit("/", 1)[0] if len(segments) % 2 else path
    return path if path.count("/") % 2 == 0 else path.rsplit("/", 1)[0]


def check_registered(call: Call) -> None:
    """Refuse what needs Microsoft.Security in a subscription that has not registered it."""
    if call.tenant.registration(call.subscription, "Microsoft.Security") != "Registered":
        raise ArmError(
            404,
            "Subscription Not Registered",
            f"Subscription '{call.subscription}' is not registered with the Microsoft.Security namespace.",
        )


def not_found(kind: str, name: str, group: str) -> ArmError:
    """The refusal for a resource that is not there."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def paged(call: Call, items: Sequence[Any], size: int) -> Reply:
    """One page of a list with `nextLink` when there are more; the link carries `$skiptoken`."""
    start = int(call.query.get("$skiptoken", "0") or 0)
    body: Document = {"value": list(items[start : start + size])}
    if start + size < len(items):
        query = "&".join(
            f"{name}={value}" for name, value in call.query.items() if name.lower() not in {"$skiptoken", "api-version"}
        )
        more = f"&{query}" if query else ""
        body["nextLink"] = f"{call.arm.endpoint}{call.path}?api-version={call.version}&$skiptoken={start + size}{more}"
    return Reply(200, body)
