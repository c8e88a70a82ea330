"""Handlers that every plain resource shares: read one, list those of a type below the path."""

from __future__ import annotations

from local.arm.calls import Call, Document, Handler, Reply, not_found, paged

LIST_PAGE = 1000


def existing(call: Call, kind: str, resource_id: str) -> Document:
    """A resource by id; ArmError when there is none."""
    document = call.tenant.resource(resource_id)
    if document is None:
        raise not_found(kind, resource_id.rsplit("/", 1)[-1], call.parameters.get("group", ""))
    return document


def one(kind: str) -> Handler:
    """GET of one resource of a type."""
    return lambda call: Reply(200, existing(call, kind, call.path.rstrip("/")))


def many(kind: str, *, below: str = "") -> Handler:
    """GET of a list: the resources of a type below the path, whose parent of type `below` must be there."""

    def handle(call: Call) -> Reply:
        parent = call.path.rstrip("/").rsplit("/", 1)[0]
        if below:
            existing(call, below, parent)
        else:
            parent = parent.rpartition("/providers/")[0]
        inside = parent.lower() + "/"
        found = [
            document
            for document in call.tenant.resources_of(call.subscription, kind)
            if document["id"].lower().startswith(inside)
        ]
        return paged(call, found, LIST_PAGE)

    return handle
