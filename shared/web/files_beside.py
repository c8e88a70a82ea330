"""The files beside the export files over HTTP (requirements, notices, mutes): given as put, and stored whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.exports.kept_file import FileBusy, FileChanged
from shared.web import request_parameters, serialization
from shared.web.checks_apart import apart
from shared.web.findings import found_by, shown
from shared.web.problems import CHANGED, INVALID_EXPORT, NOT_FOUND, SECURITY_HEADERS, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.bootstrap import Services
    from shared.exports.kept_file import KeptFile
    from shared.web.routing import Call

REQUIREMENTS_FILE: Final = "the file of requirements"


@dataclass(frozen=True)
class _Answers:
    """Answers about one file; `kind` is what its findings are in, `none` the sentence where there is no file.

    With `versioned`, a caller may name the version that it has read.
    """

    kept: Callable[[Services], KeptFile]
    kind: str
    none: str
    versioned: bool = True

    async def give(self, call: Call) -> func.HttpResponse:
        """The stored file, as it was put; 304 when the caller has this version."""
        import azure.functions as func

        condition = request_parameters.condition(call.request) if self.versioned else None
        stored = await self.kept(call.services).stored()
        if stored is None:
            raise ApiError(NOT_FOUND, self.none)
        text, etag = stored
        if condition is None:
            return serialization.answer(text, kind=serialization.YAML)
        if not condition.matches(etag):
            raise _changed()
        if not condition.is_new(etag):
            return func.HttpResponse(status_code=304, headers={**SECURITY_HEADERS, "ETag": etag})
        return serialization.answer(text, kind=serialization.YAML, headers={"ETag": etag})

    async def store(self, call: Call) -> tuple[bytes, dict[str, str]]:
        """Store the file in place of the one that is there or that is named; its text, and the headers of the answer.

        Raises:
            ApiError: it is wrong, is not the version that was named, or others store it all the time.
        """
        text = serialization.body(call.request, *serialization.YAML_TYPES)
        meant = request_parameters.condition(call.request).holds if self.versioned else lambda _: True
        kept = self.kept(call.services)
        if findings := await apart(len(text), found_by, kept.check, text, kept.blob):
            told = f"Mend the findings in {self.kind} and put it again."
            raise ApiError(INVALID_EXPORT, told, findings=shown(findings))
        try:
            etag = await kept.put(text, str(call.actor), meant=meant, checked=True)
        except FileChanged:
            raise _changed() from None
        except FileBusy as busy:
            raise ApiError(UNAVAILABLE, str(busy)) from None
        return text, {"ETag": etag} if self.versioned else {}

    async def replace(self, call: Call) -> func.HttpResponse:
        """Store the file likewise, where there is nothing to say of it."""
        import azure.functions as func

        _, headers = await self.store(call)
        return func.HttpResponse(status_code=204, headers={**SECURITY_HEADERS, **headers})


def _changed() -> ApiError:
    return ApiError(CHANGED, "The file is not the version you named: read it again, and repeat your change on it.")


_REQUIREMENTS = _Answers(
    lambda services: services.requirements,
    REQUIREMENTS_FILE,
    "There is no file of requirements: `PUT /api/requirements` stores one.",
)
_NOTIFY = _Answers(
    lambda services: services.notify_rules,
    "notify.yaml",
    "There are no rules of who is informed of what: `PUT /api/notify` stores them.",
    versioned=False,
)
_MUTES = _Answers(
    lambda services: services.mutes,
    "mutes.yaml",
    "Nothing is muted: `PUT /api/mutes` stores a file of mutes.",
)
get_requirements, put_requirements = _REQUIREMENTS.give, _REQUIREMENTS.replace
get_notify, put_notify = _NOTIFY.give, _NOTIFY.replace
get_mutes = _MUTES.give


async def put_mutes(call: Call) -> func.HttpResponse:
    """Store the file of mutes; says which mute nothing."""
    text, headers = await _MUTES.store(call)
    mutes = await call.services.mutes.mutes_of(text)
    said = await call.services.mute_warnings(mutes)
    return serialization.answer({"mutes": len(mutes), "warnings": said}, headers=headers)
