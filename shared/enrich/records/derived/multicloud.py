"""Other clouds: how their names are spelt, and what ids there say about region and account."""

from __future__ import annotations

import re
from typing import Any

_CLOUDS = {"azure": "Azure", "aws": "AWS", "gcp": "GCP"}
_ARN = re.compile(r"arn:aws[a-z-]*:[^:]*:(?P<region>[^:]*):(?P<account>[^:]*):")
_PROJECT = re.compile(r"(?:^|/)projects/(?P<account>[^/]+)")
_REGION = re.compile(r"/(?:zones|regions|locations)/(?P<region>[^/]+)")
_ENTITY = re.compile(r"/securityentitydata/(aws|gcp)[-.]")


def spelt(name: str) -> str:
    """A cloud's name as the column Cloud has it; an unknown one as it is."""
    return _CLOUDS.get(name.lower(), name)


def cloud_of_entity(entity_id: str | None) -> str | None:
    """The cloud that the id of an entity of a security connector, in lower case, begins with."""
    found = _ENTITY.search(entity_id) if entity_id else None
    return _CLOUDS[found[1]] if found else None


def cloud_of_native(native: str) -> str | None:
    """The cloud whose ids look like this one."""
    if native.startswith("arn:aws"):
        return "AWS"
    return "GCP" if native.startswith("//") and "googleapis.com/" in native else None


def fill_account(values: Any) -> None:
    """Fill Location and CloudAccountId from NativeResourceId, where the record does not name them."""
    native = values.NativeResourceId
    if not native:
        return
    arn = _ARN.match(native)
    project, region = (arn, arn) if arn else (_PROJECT.search(native), _REGION.search(native))
    if values.CloudAccountId is None and project and project["account"]:
        values.CloudAccountId = project["account"]
    if values.Location is None and region and region["region"]:
        values.Location = region["region"]
