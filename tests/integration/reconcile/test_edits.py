"""G11 and G12 under any edits: each is shown by the next plan and repaired, or left alone as foreign."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from local.tenant.destinations import destinations
from shared.reconcile.plan.ownership_record import MAX_REPAIRS
from tests.integration.reconcile.world import World, world

SUBSCRIPTIONS = 4
FREE = {"max_change_percent": 100, "max_deletes": 1000}
_examples = itertools.count()
Document = dict[str, Any]
picks = st.integers(0, 100)


class Edits(RuleBasedStateMachine):
    """People at the portal, a policy and another deployment, against ours.

    By lower-case id: `dirty` is what the next run must repair, `stripped` what of it lost our tags, `repairs` how often
    they were put back, `taken` what lost them once more after that.
    """

    certs: Certificates
    storage: StorageAccount

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.dirty: set[str] = set()
        self.stripped: set[str] = set()
        self.repairs: Counter[str] = Counter()
        self.taken: set[str] = set()

    @initialize(seed=st.integers(0, 3))
    def start(self, seed: int) -> None:
        number = next(_examples)
        tenant = synthetic_tenant(seed, SUBSCRIPTIONS, resources=0, untidy=False)
        own = {"exports_container": f"exports-{number}", "reports_container": f"reports-{number}"}
        entering = self.stack.enter_async_context(world(tenant, self.certs, self.storage, **own, **FREE))
        self.here: World = self.runner.run(entering)
        self.runner.run(self.here.put("alerts"))
        self.runner.run(self.here.put("scores", content="secureScore: {controls: true}"))
        self.runner.run(self.here.apply())
        self.places = sorted(self.here.ours())
        assert len(self.places) == 2 * SUBSCRIPTIONS

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def _there(self, pick: int) -> Document | None:
        place = self.places[pick % len(self.places)]
        return copy.deepcopy(self.here.automations().get(place))

    def _edited(self, document: Document) -> None:
        self.here.tenant.set_automation(document)
        if document["id"].lower() not in self.taken:
            self.dirty.add(document["id"].lower())

    @rule(pick=picks)
    def disable(self, pick: int) -> None:
        if document := self._there(pick):
            document["properties"]["isEnabled"] = False
            self._edited(document)

    @rule(pick=picks, text=st.text(st.characters(codec="utf-8"), max_size=20))
    def describe(self, pick: int, text: str) -> None:
        if document := self._there(pick):
            document["properties"]["description"] = f"changed: {text}"
            self._edited(document)

    @rule(pick=picks)
    def narrow(self, pick: int) -> None:
        if document := self._there(pick):
            wanted = {
                "propertyJPath": "Severity",
                "propertyType": "String",
                "expectedValue": "Low",
                "operator": "Equals",
            }
            document["properties"]["sources"] = [{"eventSource": "Alerts", "ruleSets": [{"rules": [wanted]}]}]
            self._edited(document)

    @rule(pick=picks)
    def repoint(self, pick: int) -> None:
        if document := self._there(pick):
            target = destinations(self.here.tenant).workspace
            document["properties"]["actions"] = [{"actionType": "Workspace", "workspaceResourceId": target}]
            self._edited(document)

    @rule(pick=picks)
    def rescope(self, pick: int) -> None:
        if document := self._there(pick):
            document["properties"]["scopes"][0]["scopePath"] += "/resourceGroups/rg-app"
            self._edited(document)

    @rule(pick=picks)
    def rename_export(self, pick: int) -> None:
        if (document := self._there(pick)) and document["id"].lower() not in self.taken:
            document["tags"]["defender-export-name"] = "someone-elses"
            self._edited(document)

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        if document := self._there(pick):
            self.here.tenant.delete_resource(document["id"])
            self.taken.discard(document["id"].lower())
            self.stripped.discard(document["id"].lower())
            self.dirty.add(document["id"].lower())

    @rule(pick=picks)
    def delete_group(self, pick: int) -> None:
        if document := self._there(pick):
            group = document["id"].partition("/providers/")[0]
            below = {place for place in self.places if place.startswith(group.lower() + "/")}
            self.here.tenant.delete_resource(group)
            self.taken -= below
            self.stripped -= below
            self.dirty |= below

    @rule(pick=picks)
    def take(self, pick: int) -> None:
        """Somebody strips our tags: they are put back three times, and from then on it is theirs."""
        if document := self._there(pick):
            document["tags"] = {"owner": "portal"}
            self.here.tenant.set_automation(document)
            place = document["id"].lower()
            if self.repairs[place] < MAX_REPAIRS:
                self.stripped.add(place)
                self.dirty.add(place)
            else:
                self.taken.add(place)
                self.dirty.discard(place)

    @rule(pick=picks, other=st.booleans())
    def appear(self, pick: int, other: bool) -> None:
        """Somebody's own automation, or another deployment's, beside ours."""
        if document := self._there(pick):
            document["id"] += "-of-others"
            ours = document["tags"] if document["id"].lower() not in self.taken else {}
            document["tags"] = {**ours, "defender-export-instance": "another"} if other else {}
            self.here.tenant.set_automation(document)

    @rule(pick=picks)
    def respell(self, pick: int) -> None:
        """The same in other words: order, case, null for empty, tags of others; nothing to repair."""
        if document := self._there(pick):
            properties = document["properties"]
            properties["sources"].reverse()
            for source in properties["sources"]:
                source["eventSource"] = source["eventSource"].lower()
                rule_sets = source["ruleSets"] or []
                source["ruleSets"] = [*reversed(rule_sets), *rule_sets] or None
            for action in properties["actions"]:
                for name, value in action.items():
                    action[name] = value.upper() if name.endswith("ResourceId") else value
            document["location"] = "West Europe"
            document["tags"] = {name.upper(): value for name, value in document["tags"].items()} | {"costCenter": "1"}
            self.here.tenant.set_automation(document)

    @precondition(lambda self: self.dirty or self.taken)
    @rule()
    def reconcile(self) -> None:
        here = self.here
        foreign = json.dumps(self._not_ours(), sort_keys=True)
        here.arm.requests.clear()
        plan = self.runner.run(here.plan())
        assert here.writes() == []
        assert {str(item.id).lower() for item in plan.plan.writes} == self.dirty
        report = self.runner.run(here.apply())
        outcome = "Partial" if self.taken else "Succeeded"  # what others hold is wanted here, and not in force
        assert (report.outcome, {str(one.id).lower() for one in report.outcomes}) == (outcome, self.dirty)
        assert json.dumps(self._not_ours(), sort_keys=True) == foreign
        self.repairs.update(self.stripped)
        self.stripped.clear()
        self.dirty.clear()
        here.arm.requests.clear()
        assert not self.runner.run(here.apply()).plan.writes
        assert here.writes() == []

    def _not_ours(self) -> dict[str, Document]:
        mine = set(self.places) - self.taken
        return {place: document for place, document in self.here.automations().items() if place not in mine}


def _explore(certs: Certificates, storage: StorageAccount, examples: int, steps: int) -> None:
    Edits.certs, Edits.storage = certs, storage
    run_state_machine_as_test(
        Edits,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_edit_is_repaired_as_planned_or_left_as_foreign(local_certs: Certificates, storage: StorageAccount) -> None:
    _explore(local_certs, storage, examples=12, steps=12)
