"""The management side of Event Hubs: namespaces, hubs, their firewall, authorization rules and keys."""

from __future__ import annotations

import secrets

from local.arm.calls import ArmError, Call, Document, Operation, Reply
from local.arm.stored import existing, many, one

VERSIONS = ("2026-01-01", "2025-05-01-preview", "2024-01-01", "2021-11-01", "2017-04-01")
NAMESPACES = "Microsoft.EventHub/namespaces"
HUBS = "Microsoft.EventHub/namespaces/eventhubs"
NAMESPACE_RULES = "Microsoft.EventHub/namespaces/authorizationRules"
HUB_RULES = "Microsoft.EventHub/namespaces/eventhubs/authorizationRules"
RIGHTS = frozenset({"Listen", "Send", "Manage"})


def put_rule(call: Call) -> Reply:
    """Create a rule or change its rights; keys stay when it was there."""
    parent = call.path.rstrip("/").rsplit("/", 2)[0]
    existing(call, HUBS if _of_hub(call.path) else NAMESPACES, parent)
    rights = (call.document().get("properties") or {}).get("rights")
    if not isinstance(rights, list) or not rights or not set(rights) <= RIGHTS:
        raise ArmError(400, "BadRequest", f"properties.rights must be a list of: {', '.join(sorted(RIGHTS))}.")
    if "Manage" in rights and set(rights) != RIGHTS:
        raise ArmError(400, "BadRequest", "Manage permission should also include Send and Listen.")
    rule_id = call.path.rstrip("/")
    known = call.tenant.resource(rule_id) or {
        "id": rule_id,
        "name": call.parameters["rule"],
        "type": HUB_RULES if _of_hub(rule_id) else NAMESPACE_RULES,
        "location": existing(call, HUBS if _of_hub(call.path) else NAMESPACES, parent)["location"],
    }
    call.tenant.keys.setdefault(rule_id.lower(), {"primary": new_key(), "secondary": new_key()})
    return Reply(200, call.tenant.put_resource({**known, "properties": {"rights": rights}}))


def delete_rule(call: Call) -> Reply:
    """Delete a rule with its keys."""
    call.tenant.keys.pop(call.path.rstrip("/").lower(), None)
    return Reply(200 if call.tenant.delete_resource(call.path.rstrip("/")) else 204)


def list_keys(call: Call) -> Reply:
    """Both keys of a rule with their connection strings."""
    return Reply(200, _access_keys(call, _rule(call)))


def regenerate_keys(call: Call) -> Reply:
    """A new primary or secondary key; exports that carry the old one go silent."""
    rule = _rule(call)
    wanted = {"PrimaryKey": "primary", "SecondaryKey": "secondary"}.get(str(call.document().get("keyType")))
    if wanted is None:
        raise ArmError(400, "BadRequest", "keyType must be PrimaryKey or SecondaryKey.")
    keys = call.tenant.keys[rule["id"].lower()]
    keys[wanted] = call.document().get("key") or new_key()
    if call.arm.renews_both_keys:
        keys |= {other: new_key() for other in keys if other != wanted}
    return Reply(200, _access_keys(call, rule))


def new_key() -> str:
    """A fresh shared access key."""
    return secrets.token_urlsafe(32) + "="


def _of_hub(rule_id: str) -> bool:
    return "/eventhubs/" in rule_id.lower()


def _rule(call: Call) -> Document:
    rule_id = call.path.rstrip("/").rsplit("/", 1)[0]
    return existing(call, HUB_RULES if _of_hub(rule_id) else NAMESPACE_RULES, rule_id)


def _access_keys(call: Call, rule: Document) -> Document:
    keys = call.tenant.keys[rule["id"].lower()]
    segments = rule["id"].split("/")
    namespace = segments[segments.index("namespaces") + 1]
    suffix = f";EntityPath={segments[-3]}" if _of_hub(rule["id"]) else ""

    def connection(key: str) -> str:
        endpoint = call.arm.event_hub_endpoint.format(namespace=namespace)
        return f"Endpoint={endpoint};SharedAccessKeyName={rule['name']};SharedAccessKey={key}{suffix}"

    return {
        "keyName": rule["name"],
        "primaryKey": keys["primary"],
        "secondaryKey": keys["secondary"],
        "primaryConnectionString": connection(keys["primary"]),
        "secondaryConnectionString": connection(keys["secondary"]),
    }


_ALL = "/subscriptions/{sub}/providers/Microsoft.EventHub/namespaces"
_GROUP = "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.EventHub/namespaces"
_NAMESPACE = _GROUP + "/{namespace}"
_HUBS = _NAMESPACE + "/eventhubs"
_NETWORK = NAMESPACES + "/networkRuleSets"


def _rule_operations(parent: str, kind: str, below: str) -> tuple[Operation, ...]:
    rules = parent + "/authorizationRules"
    rule = rules + "/{rule}"
    return (
        Operation("GET", rules, f"{kind}/read", VERSIONS, many(kind, below=below)),
        Operation("GET", rule, f"{kind}/read", VERSIONS, one(kind)),
        Operation("PUT", rule, f"{kind}/write", VERSIONS, put_rule),
        Operation("DELETE", rule, f"{kind}/delete", VERSIONS, delete_rule),
        Operation("POST", rule + "/listKeys", f"{kind}/listKeys/action", VERSIONS, list_keys, reads=True),
        Operation("POST", rule + "/regenerateKeys", f"{kind}/regenerateKeys/action", VERSIONS, regenerate_keys),
    )


OPERATIONS = (
    Operation("GET", _ALL, f"{NAMESPACES}/read", VERSIONS, many(NAMESPACES)),
    Operation("GET", _GROUP, f"{NAMESPACES}/read", VERSIONS, many(NAMESPACES)),
    Operation("GET", _NAMESPACE, f"{NAMESPACES}/read", VERSIONS, one(NAMESPACES)),
    Operation("GET", _NAMESPACE + "/networkRuleSets/default", f"{_NETWORK}/read", VERSIONS, one(_NETWORK)),
    Operation("GET", _HUBS, f"{HUBS}/read", VERSIONS, many(HUBS, below=NAMESPACES)),
    Operation("GET", _HUBS + "/{name}", f"{HUBS}/read", VERSIONS, one(HUBS)),
    *_rule_operations(_NAMESPACE, NAMESPACE_RULES, NAMESPACES),
    *_rule_operations(_HUBS + "/{name}", HUB_RULES, HUBS),
)
