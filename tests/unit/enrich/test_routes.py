"""Rules, the file that declares them, what is asked of a row, and patience with a place: all without a wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import Deadline
from shared.enrich.context.resource_context import Known
from shared.enrich.dead_letters.dead_letter_store import DeadLetter
from shared.enrich.delivery.ingestion_status import Answer
from shared.enrich.delivery.upload import Refusal, Report
from shared.enrich.invocation.routed_delivery import RoutedDelivery
from shared.enrich.records.model import Row
from shared.enrich.routing.guarded_delivery import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, GuardedDelivery
from shared.enrich.routing.place_states import states
from shared.enrich.routing.route_model import DEFAULT, Decision, Facts, HubPlace, Routes, Rule, RulePlace
from shared.enrich.routing.route_preview import Known as Subscription
from shared.enrich.routing.route_preview import shares, who_decides
from shared.enrich.routing.routes_against_settings import conflicts, fault_of
from shared.enrich.routing.routes_file import MAX_BYTES, read_routes
from shared.enrich.routing.routes_in_force import InForce
from shared.enrich.routing.routes_linter import lint_groups, lint_routes
from shared.enrich.routing.row_facts import RowFacts
from shared.exports.diagnostics import InvalidExport
from shared.exports.management_groups import GroupNames
from shared.settings import Settings
from tests.unit.enrich.builders import alert, assessment, row
from tests.virtual_time import virtual_clock, virtually

SUB, OTHER_SUB = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
GROUPS = "/providers/Microsoft.Management/managementGroups"
ENDPOINT = "https://rule.ingest.monitor.azure.com"
PAYMENTS = {"name": "payments", "rule": {"endpoint": ENDPOINT, "immutableId": "dcr-1"}}
SIEM = {"name": "siem", "hub": {"namespace": "ns.servicebus.windows.net", "name": "out", "format": "ocsf"}}


def text(*rules: dict[str, Any], places: Sequence[dict[str, Any]] = (PAYMENTS, SIEM), **more: Any) -> str:
    return json.dumps({"version": 1, "places": list(places), "rules": list(rules), **more})


def hub(**more: Any) -> dict[str, Any]:
    return {"name": "p", "hub": {"name": "h", **more}}


def codes(written: str | bytes) -> list[str]:
    with pytest.raises(InvalidExport) as caught:
        read_routes(written, "routes.yaml")
    return [finding.code for finding in caught.value.findings]


class TestReading:
    def test_what_is_written_is_what_is_meant(self) -> None:
        rule = {
            "name": "payments",
            "kinds": ["Alert"],
            "subscriptions": [SUB.upper()],
            "tenants": [SUB],
            "managementGroups": ["Payments"],
            "subscriptionTags": {"Unit": ["Payments", "cards"]},
            "owners": ["Ann"],
            "instead": ["payments", "default"],
        }
        routes = read_routes(text(rule, {"name": "all", "also": ["siem"]}))
        assert routes.places == (
            RulePlace("payments", ENDPOINT, "dcr-1"),
            HubPlace("siem", "out", "ns.servicebus.windows.net", "ocsf"),
        )
        assert routes.rules[0] == Rule(
            "payments",
            instead=("payments", DEFAULT),
            kinds=frozenset({"Alert"}),
            subscriptions=frozenset({SUB}),
            tenants=frozenset({SUB}),
            groups=frozenset({"payments"}),
            tags={"unit": frozenset({"Payments", "cards"})},
            owners=frozenset({"ann"}),
        )

    @pytest.mark.parametrize(
        ("written", "code"),
        [
            (text({"name": "a", "also": ["siem"], "kind": ["Alert"]}), "unknown-key"),
            (text({"name": "a", "also": ["siem"]}, more=1), "unknown-key"),
            (text({"name": "a", "also": ["seim"]}), "unknown-place"),
            (text({"name": "a", "also": ["siem"], "kinds": ["Alerts"]}), "unknown-kind"),
            (text({"name": "a", "also": ["siem"], "instead": ["siem"]}), "invalid"),
            (text({"name": "a"}), "invalid"),
            (text({"name": "a", "also": []}), "invalid"),
            (text({"name": "a", "also": "siem"}), "invalid"),
            (text({"name": "a", "also": ["siem"], "subscriptions": ["payments"]}), "invalid"),
            (text({"name": "a", "also": ["siem"], "subscriptionTags": ["unit"]}), "invalid"),
            (text({"name": "a", "also": ["siem"], "managementGroups": ["payments "]}), "invalid"),
            (text({"name": "a", "also": ["siem"], "managementGroups": ["Payments and cards"]}), "invalid"),
            (text({"name": "a", "also": ["siem"], "managementGroups": [f"{GROUPS}/payments"]}), "invalid"),
            (text({"name": "a", "also": ["siem"], "subscriptionTags": {"unit": "x"}}), "invalid"),
            (text({"name": "a", "also": ["siem"], "subscriptionTags": {"unit": ["x"], "Unit": ["y"]}}), "duplicate"),
            (text({"name": "a", "also": ["siem"]}, {"name": "a", "also": ["siem"]}), "duplicate"),
            (text({"name": "A b", "also": ["siem"]}), "invalid"),
            (text({"name": "a", "also": ["siem"]}, places=[{**SIEM, "name": "default"}]), "duplicate"),
            (text({"name": "a", "also": ["siem"]}, places=[SIEM, {**SIEM, "name": "b"}]), "same-place"),
            (text({"name": "a", "also": ["p"]}, places=[{"name": "p"}]), "invalid"),
            (text({"name": "a", "also": ["p"]}, places=[{**SIEM, **PAYMENTS, "name": "p"}]), "invalid"),
            (text({"name": "a", "also": ["p"]}, places=[{"name": "p", "rule": {"endpoint": "http://x"}}]), "invalid"),
            (text({"name": "a", "also": ["p"]}, places=[{"name": "p", "rule": []}]), "invalid"),
            (text({"name": "a", "also": ["p"]}, places=[{"name": "../p", "hub": {"name": "h"}}]), "invalid"),
            (
                text({"name": "a", "also": ["p"]}, places=[{"name": "p", "hub": {"name": "h", "eventKb": True}}]),
                "invalid",
            ),
            (text({"name": "a", "also": ["p"]}, places=[{"name": "p", "hub": {"name": "h", "format": []}}]), "invalid"),
            (text(), "missing-key"),
            (text({"name": "a", "also": ["siem"]}, places=[]), "missing-key"),
            (text({"name": "a", "also": ["siem"]}, version=True), "invalid"),
            ("version: 2\n", "invalid"),
            ("- 1", "invalid"),
            ("", "invalid"),
            ("a: &x 1\nb: *x\n", "alias"),
            ("[" * 100, "too-deep"),
            (text({"name": "a", "also": ["siem"], "owners": ["x" * MAX_BYTES]}), "too-large"),
        ],
    )
    def test_what_is_wrong_is_named(self, written: str, code: str) -> None:
        assert code in codes(written)

    def test_the_nearest_right_word_is_named(self) -> None:
        with pytest.raises(InvalidExport) as caught:
            read_routes(text({"name": "a", "also": ["seim"], "managmentGroups": ["x"]}), "routes.yaml")
        said = str(caught.value)
        assert "Did you mean siem?" in said
        assert "Did you mean managementGroups?" in said

    def test_streams_are_of_tables_of_records(self) -> None:
        place = {"name": "p", "rule": {**PAYMENTS["rule"], "streams": {"DefenderGone_CL": "Custom-x"}}}  # type: ignore[dict-item]
        assert "unknown-key" in codes(text({"name": "a", "also": ["p"]}, places=[place]))


class TestLinting:
    def test_a_rule_behind_one_that_covers_it_and_a_place_that_none_names_are_warnings(self) -> None:
        routes = read_routes(
            text(
                {"name": "all-alerts", "kinds": ["Alert", "AttackPath"], "instead": ["payments"]},
                {"name": "alerts-of-one", "kinds": ["Alert"], "subscriptions": [SUB], "also": ["payments"]},
                {"name": "of-one", "subscriptions": [SUB], "also": ["payments"]},
            )
        )
        found = lint_routes(routes, "routes.yaml")
        assert [(one.code, one.where) for one in found] == [
            ("unused-place", "routes.yaml: siem"),
            ("unreachable-rule", "routes.yaml: alerts-of-one"),
        ]

    def test_also_ends_nothing_and_so_hides_nothing(self) -> None:
        rules = [{"name": "a", "also": ["payments"]}, {"name": "b", "also": ["siem"]}]
        assert lint_routes(read_routes(text(*rules)), "r") == []

    def test_blanks_around_tags_and_owners_are_warnings(self) -> None:
        tags = {"unit ": ["a"], "team": ["b", " c"]}
        found = lint_routes(
            read_routes(
                text({"name": "a", "also": ["payments", "siem"], "owners": ["Ann\t"], "subscriptionTags": tags})
            ),
            "r",
        )
        assert [(one.code, one.where) for one in found] == [("blank", "r: a")] * 3

    def test_two_hubs_that_connections_make_one_are_refused(self) -> None:
        def settings_of(**hosts: str) -> Settings:
            said = {
                name: f"Endpoint=sb://{host}/;SharedAccessKeyName=k;SharedAccessKey=s" for name, host in hosts.items()
            }
            return Settings.load({"ROUTE_CONNECTIONS": json.dumps(said)})

        other = {"name": "other", "hub": {"name": "OUT", "format": "ocsf"}}
        third = {"name": "third", "hub": {"name": "out", "format": "ocsf"}}
        routes = read_routes(text({"name": "a", "also": ["siem"]}, places=[SIEM, other, third]))
        host = "ns.servicebus.windows.net"
        assert conflicts(routes, settings_of(other="NS.servicebus.windows.net", third="b")) == [
            "other is the same place as siem: rows would arrive there twice"
        ]
        assert conflicts(routes, settings_of(other="a", third="a")) == [
            "third is the same place as other: rows would arrive there twice"
        ]
        assert conflicts(routes, settings_of(other="a", third="b")) == []
        assert conflicts(routes, settings_of()) == []  # which says nothing of where they are
        rows = read_routes(
            text({"name": "a", "also": ["siem"]}, places=[SIEM, {"name": "other", "hub": {"name": "out"}}])
        )
        assert conflicts(rows, settings_of(other=host)) == []

    def test_what_the_settings_name_is_no_further_place_and_the_hub_that_is_read_takes_no_row(self) -> None:
        settings = Settings.load(
            {
                "LOGS_INGESTION_ENDPOINT": f"{ENDPOINT}/",
                "LOGS_INGESTION_RULE_ID": "DCR-1",
                "EVENT_HUB_NAME": "OUT",
                "EventHubConnection__fullyQualifiedNamespace": "NS.servicebus.windows.net",
            }
        )
        said = conflicts(read_routes(text({"name": "a", "also": ["siem", "payments"]})), settings)
        assert said == [
            "siem is the hub that is read, so rows would come back",
            "payments is what the settings name: call it default",
        ]

    def test_a_place_that_nothing_says_how_to_reach_is_named(self) -> None:
        bare = HubPlace("bare", "out")
        away = RulePlace("away", ENDPOINT, "dcr-2", tenant=SUB)
        settings = Settings.load({})
        assert "ROUTE_CONNECTIONS names no connection" in fault_of(bare, settings)
        assert "CROSS_TENANT_CREDENTIAL is none" in fault_of(away, settings)
        assert "ROUTE_CONNECTIONS" in fault_of(bare, Settings.load({"ROUTE_CONNECTIONS": "[]"}))
        secret = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=hush"
        wrong = Settings.load({"ROUTE_CONNECTIONS": f'{{"bare": "{secret}", "x": "y"}}'})
        assert "hush" not in wrong.problems["ROUTE_CONNECTIONS"]


VALUES = st.sampled_from(["a", "b", "c"])
SOME = st.frozensets(VALUES, max_size=2)
NAMES = st.lists(st.sampled_from([DEFAULT, "p", "q", "r"]), min_size=1, max_size=3, unique=True).map(tuple)
TAGS = st.dictionaries(VALUES, st.frozensets(VALUES, min_size=1, max_size=2), max_size=2)

KIND = {"a": "Alert", "b": "Assessment", "c": "SecureScore"}
GUID = {letter: "-".join(letter * length for length in (8, 4, 4, 4, 12)) for letter in "abc"}


def _present(name: str, values: Any) -> dict[str, Any]:
    """A condition, where it is one."""
    return {name: values} if values else {}


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    places, instead = draw(NAMES), draw(st.booleans())
    return Rule(
        draw(VALUES),
        also=() if instead else places,
        instead=places if instead else (),
        kinds=draw(SOME),
        subscriptions=draw(SOME),
        tenants=draw(SOME),
        groups=draw(SOME),
        tags=draw(TAGS),
        owners=draw(SOME),
    )


FACTS = st.builds(
    Facts,
    VALUES,
    VALUES,
    VALUES,
    st.frozensets(VALUES, max_size=3),
    st.dictionaries(VALUES, VALUES, max_size=3),
    st.sampled_from(["", "a", "b"]),
)


def model(listed: Sequence[Rule], facts: Facts) -> set[str]:
    """What the documentation says, in its words: rules in turn, `also` adds, the first `instead` ends it."""
    assert facts.groups is not None
    assert facts.tags is not None
    found = {DEFAULT}
    for rule in listed:
        wrong = [
            rule.kinds and facts.kind not in rule.kinds,
            rule.subscriptions and facts.subscription not in rule.subscriptions,
            rule.tenants and facts.tenant not in rule.tenants,
            rule.groups and not rule.groups & set(facts.groups),
            rule.owners and facts.owner not in rule.owners,
            *(facts.tags.get(name) not in values for name, values in rule.tags.items()),
        ]
        if any(wrong):
            continue
        if rule.instead:
            return (found - {DEFAULT}) | set(rule.instead) | ({DEFAULT} if said_default(listed, rule, facts) else set())
        found |= set(rule.also)
    return found


def said_default(listed: Sequence[Rule], until: Rule, facts: Facts) -> bool:
    """Whether a rule that was met before one says that the default place gets a copy."""
    before = listed[: [id(rule) for rule in listed].index(id(until))]
    return any(DEFAULT in rule.also and rule.meets(facts) for rule in before)


@pytest.mark.slow
class TestDecision:
    @settings(max_examples=600, deadline=None)
    @given(st.lists(rules(), max_size=6), FACTS)
    def test_every_row_goes_to_exactly_the_places_of_the_model_and_to_one_at_least(
        self, listed: list[Rule], facts: Facts
    ) -> None:
        decision = Routes(rules=tuple(listed)).decide(facts)
        assert decision is not None
        assert set(decision.places) == model(listed, facts)
        assert len(set(decision.places)) == len(decision.places) >= 1

    @settings(max_examples=600, deadline=None)
    @given(st.lists(rules(), max_size=6), FACTS, st.sets(st.sampled_from(["tenant", "groups", "tags", "owner"])))
    def test_what_is_decided_without_knowing_all_is_what_is_decided_knowing_it(
        self, listed: list[Rule], facts: Facts, hidden: set[str]
    ) -> None:
        partial = replace(facts, **dict.fromkeys(hidden))  # type: ignore[arg-type] # the four that may be None
        routes = Routes(rules=tuple(listed))
        decision = routes.decide(partial)
        assert decision is None or decision == routes.decide(facts)

    @settings(max_examples=600, deadline=None)
    @given(rules(), rules(), FACTS)
    def test_a_rule_that_covers_another_is_met_by_all_that_meet_that(self, one: Rule, two: Rule, facts: Facts) -> None:
        if one.covers(two) and two.meets(facts):
            assert one.meets(facts)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(rules(), min_size=1, max_size=5), FACTS, st.randoms(use_true_random=False))
    def test_a_file_means_the_same_in_any_casing_of_what_azure_has_without_case(
        self, listed: list[Rule], facts: Facts, chance: Random
    ) -> None:
        def cased(text: str) -> str:
            return "".join(chance.choice((letter.lower(), letter.upper())) for letter in text)

        assert facts.groups is not None
        assert facts.tags is not None
        assert facts.owner is not None
        listed = [replace(rule, name=f"r{index}") for index, rule in enumerate(listed)]
        written = [
            {
                "name": rule.name,
                "also" if rule.also else "instead": list(rule.places) + chance.sample(rule.places, 1),
                **_present("kinds", [KIND[each] for each in rule.kinds]),
                **_present("subscriptions", [cased(GUID[each]) for each in rule.subscriptions]),
                **_present("tenants", [cased(GUID[each]) for each in rule.tenants]),
                **_present("managementGroups", [cased(each) for each in rule.groups]),
                **_present("owners", [cased(each) for each in rule.owners]),
                **_present("subscriptionTags", {cased(name): sorted(values) for name, values in rule.tags.items()}),
            }
            for rule in listed
        ]
        places = [{"name": name, "rule": {"endpoint": ENDPOINT, "immutableId": f"dcr-{name}"}} for name in "pqr"]
        subscription = Known(
            0,
            found=True,
            encoded_tags=orjson.dumps({cased(name): value for name, value in facts.tags.items()}),
            path="/".join(cased(each) for each in facts.groups),
            tenant=cased(GUID[facts.tenant or "a"]),
        )
        owner = {"Contact": cased(facts.owner)} if facts.owner else {}
        resource = Known(0, found=True, encoded_tags=orjson.dumps(owner))
        one = row(alert())
        one.kind, one.subscription, one.tenanted = KIND[facts.kind], GUID[facts.subscription], chance.random() < 1 / 2
        one.json = b'{"SourceTenantId":"%s"}' % subscription.tenant.encode()
        routes = read_routes(text(*written, places=places))
        decision = RowFacts(routes, Says(subscription, None, resource), ("OWNER", "contact")).decide(one)
        assert decision is not None
        assert set(decision.places) == model(listed, facts)
        assert len(set(decision.places)) == len(decision.places)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(rules(), max_size=5), st.lists(FACTS, max_size=8))
    def test_a_batch_is_divided_by_the_same_decisions_and_no_row_is_left_or_doubled(
        self, listed: list[Rule], facts: list[Facts]
    ) -> None:
        first = {each.subscription: each for each in reversed(facts)}  # a subscription has its groups and tags once
        facts = [
            replace(one, groups=first[one.subscription].groups, tags=first[one.subscription].tags) for one in facts
        ]
        places = tuple(RulePlace(name, ENDPOINT, name) for name in "pqr")
        routes = Routes(places, tuple(listed))
        routed = RoutedDelivery(Fixed(InForce(routes)), lambda place: place, ["owner"], None)  # type: ignore[arg-type,return-value]
        asyncio.run(routed.load())
        lookup = Table(facts)
        rows = [lookup.row(index, one) for index, one in enumerate(facts)]
        divided = routed.divide(rows, lookup)
        got: dict[str, set[str]] = {one.record_key: set() for one in rows}
        for name, own in {DEFAULT: divided.own, **divided.places}.items():
            assert len({id(one) for one in own}) == len(own)
            for one in own:
                got[one.record_key].add(name)
        assert divided.undecided == []
        assert got == {one.record_key: model(listed, about) for one, about in zip(rows, facts, strict=True)}


class Fixed:
    """Routes that are in force."""

    def __init__(self, in_force: InForce) -> None:
        self.in_force = in_force

    async def load(self) -> InForce:
        return self.in_force


class Table:
    """What is known of the subscriptions and resources of some rows."""

    def __init__(self, facts: Sequence[Facts]) -> None:
        self.facts = facts

    def row(self, index: int, facts: Facts) -> Row:
        made = row(assessment())
        made.record_key, made.kind, made.subscription, made.resource = (
            str(index),
            facts.kind,
            facts.subscription,
            str(index),
        )
        made.tenanted, made.group = True, str(index)
        made.json = b'{"SourceTenantId":"%s"}' % (facts.tenant or "").encode()
        return made

    def known_of(self, one: Row) -> tuple[Known, Known, Known]:
        facts = self.facts[int(one.resource)]
        owner = {"Owner": facts.owner} if facts.owner else {}
        assert facts.tags is not None
        assert facts.groups is not None
        subscription = Known(0, found=True, encoded_tags=orjson.dumps(dict(facts.tags)), path="/".join(facts.groups))
        return subscription, Known(0), Known(0, found=True, encoded_tags=orjson.dumps(owner))


class Nothing:
    """A look-up that was not answered."""

    def known_of(self, one: Row) -> tuple[None, None, None]:
        return None, None, None


class Says:
    """A look-up of one subscription, its group and resource."""

    def __init__(self, subscription: Known, group: Known | None = None, resource: Known | None = None) -> None:
        self.found = subscription, group or Known(0), resource or Known(0)

    def known_of(self, one: Row) -> tuple[Known, Known, Known]:
        return self.found


def decide(rule: dict[str, Any], lookup: Any, one: Row | None = None) -> Decision | None:
    routes = read_routes(text({"name": "r", "instead": ["payments"], **rule}))
    return RowFacts(routes, lookup, ("owner", "contact")).decide(one or row(alert()))


class TestFacts:
    def test_what_no_rule_asks_is_not_looked_up(self) -> None:
        assert decide({"kinds": ["Alert"]}, None) == Decision(("payments",), ("r",))

    @pytest.mark.parametrize(
        "rule", [{"managementGroups": ["x"]}, {"subscriptionTags": {"u": ["x"]}}, {"owners": ["x"]}]
    )
    def test_what_was_not_answered_decides_nothing(self, rule: dict[str, Any]) -> None:
        assert decide(rule, Nothing()) is None

    def test_but_only_where_the_answer_could_matter(self) -> None:
        assert decide({"managementGroups": ["x"], "kinds": ["SecureScore"]}, Nothing()) == Decision((DEFAULT,))

    def test_a_group_counts_for_all_below_it_in_any_casing(self) -> None:
        above = Says(Known(0, found=True, path="root/Payments/cards"))
        assert decide({"managementGroups": ["PAYMENTS"]}, above) == Decision(("payments",), ("r",))
        assert decide({"managementGroups": ["pay"]}, above) == Decision((DEFAULT,))

    def test_a_group_of_one_tenant_is_not_that_of_another(self) -> None:
        above = Says(Known(0, found=True, path="root/Payments/cards", tenant=SUB.upper()))
        assert decide({"managementGroups": [f"{SUB.upper()}/PAYMENTS"]}, above) == Decision(("payments",), ("r",))
        assert decide({"managementGroups": [f"{OTHER_SUB}/payments"]}, above) == Decision((DEFAULT,))
        assert decide({"managementGroups": [f"{SUB}/root"]}, Nothing()) is None

    def test_a_tags_name_has_no_case_its_value_has(self) -> None:
        tagged = Says(Known(0, found=True, encoded_tags=orjson.dumps({"UNIT": "Pay"})))
        assert decide({"subscriptionTags": {"unit": ["Pay"]}}, tagged) == Decision(("payments",), ("r",))
        assert decide({"subscriptionTags": {"unit": ["pay"]}}, tagged) == Decision((DEFAULT,))

    def test_a_row_whose_tag_is_missing_goes_to_the_default_place(self) -> None:
        assert decide({"subscriptionTags": {"unit": ["Pay"]}}, Says(Known(0))) == Decision((DEFAULT,))

    def test_tags_of_resources_and_groups_are_not_the_subscriptions(self) -> None:
        tagged = Known(0, found=True, encoded_tags=orjson.dumps({"unit": "Pay"}))
        assert decide({"subscriptionTags": {"unit": ["Pay"]}}, Says(Known(0), tagged, tagged)) == Decision((DEFAULT,))

    def test_the_owner_is_that_of_the_row_the_nearest_level_wins(self) -> None:
        ann, bob = (Known(0, found=True, encoded_tags=orjson.dumps({"Contact": name})) for name in ("Ann", "Bob"))
        assert decide({"owners": ["ANN"]}, Says(bob, ann)) == Decision(("payments",), ("r",))
        assert decide({"owners": ["bob"]}, Says(bob, ann)) == Decision((DEFAULT,))

    def test_the_tenant_is_the_records_own_else_the_subscriptions(self) -> None:
        own = row(alert())
        own.json, own.tenanted = b'{"SourceTenantId":"%s"}' % SUB.upper().encode(), True
        other = Says(Known(0, found=True, tenant=OTHER_SUB))
        assert decide({"tenants": [SUB]}, Nothing(), own) == Decision(("payments",), ("r",))
        own.tenanted = False
        assert decide({"tenants": [OTHER_SUB]}, other, own) == Decision(("payments",), ("r",))
        assert decide({"tenants": [OTHER_SUB]}, Nothing(), own) is None

    def test_a_row_of_no_subscription_goes_to_the_default_place(self) -> None:
        one = row(alert())
        one.subscription = ""
        assert decide({"subscriptions": [SUB]}, Nothing(), one) == Decision((DEFAULT,))


class Scripted:
    """A deliverer that answers as told, after a time."""

    def __init__(self) -> None:
        self.answer, self.seconds, self.asked = Answer(204), 0.0, 0

    async def deliver(self, bodies: Any, deadline: Deadline) -> Report[Any]:
        listed = list(bodies)
        self.asked += 1
        await asyncio.sleep(min(self.seconds, max(0.0, deadline.left)))
        if self.answer.status == 204:
            return Report(accepted=listed)
        return Report(refused=[Refusal(body, self.answer, 1, outage=True) for body in listed])


class TestPatience:
    def test_a_place_that_is_down_for_an_hour_costs_seconds_and_is_found_again(self) -> None:
        async def scenario() -> None:
            clock, place = virtual_clock(), Scripted()
            guarded: Any = GuardedDelivery(place, clock)
            place.answer, place.seconds = Answer(503), 600
            spent = 0.0
            while clock.monotonic() < 3600:
                began = clock.monotonic()
                report: Report[Any] = await guarded.deliver(["body"], clock.deadline(360))
                assert [refusal.outage for refusal in report.refused] == [True]
                spent += clock.monotonic() - began
                await asyncio.sleep(1)
            assert spent < 60
            assert place.asked < 20
            place.answer, place.seconds = Answer(204), 0
            await asyncio.sleep(LONGEST_PAUSE_SECONDS)
            assert (await guarded.deliver(["body"], clock.deadline(360))).accepted == ["body"]
            assert (await guarded.deliver(["body"], clock.deadline(360))).accepted == ["body"]

        virtually(scenario())

    def test_of_many_at_once_one_finds_out(self) -> None:
        async def scenario() -> None:
            clock, place = virtual_clock(), Scripted()
            guarded: Any = GuardedDelivery(place, clock)
            place.answer = Answer(0, "Timeout")
            await guarded.deliver(["body"], clock.deadline(360))
            await asyncio.sleep(FIRST_PAUSE_SECONDS)
            place.seconds, before = 600, place.asked
            await asyncio.gather(*(guarded.deliver(["body"], clock.deadline(360)) for _ in range(8)))
            assert place.asked == before + 1

        virtually(scenario())

    def test_a_place_that_refuses_outright_is_asked_each_time(self) -> None:
        async def scenario() -> None:
            clock, place = virtual_clock(), Scripted()
            guarded: Any = GuardedDelivery(place, clock)
            place.answer = Answer(403)
            for _ in range(5):
                await guarded.deliver(["body"], clock.deadline(360))
            assert place.asked == 5
            place.answer = Answer(204)
            assert (await guarded.deliver(["body"], clock.deadline(360))).accepted == ["body"]

        virtually(scenario())


class TestPreview:
    ROUTES = read_routes(
        text(
            {"name": "alerts", "kinds": ["Alert"], "also": ["siem"]},
            {"name": "by-tag", "subscriptionTags": {"Unit": ["pay"]}, "instead": ["payments"]},
            {"name": "by-owner", "owners": ["ann"], "instead": ["payments"]},
        )
    )

    def told(self, **about: Any) -> list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
        found = shares(self.ROUTES, [Subscription(SUB, **about)], ("Owner",))
        return [(one.places, one.rules, one.owners) for one in found]

    def test_kinds_that_go_the_same_way_are_told_together(self) -> None:
        assert self.told(tags={"UNIT": "pay"}) == [
            (("payments", "siem"), ("alerts", "by-tag"), ()),
            (("payments",), ("by-tag",), ()),
        ]

    def test_where_a_resources_owner_decides_the_rule_is_named(self) -> None:
        assert self.told() == [
            ((DEFAULT, "siem"), ("alerts",), ("by-owner",)),
            ((DEFAULT,), (), ("by-owner",)),
        ]

    def test_a_group_of_several_tenants_is_a_finding(self) -> None:
        routes = read_routes(text({"name": "r", "managementGroups": ["Pay", "root"], "also": ["siem"]}))
        two = [Subscription(SUB, tenant_id=SUB, ancestors=("pay", "root"))]
        two.append(Subscription(OTHER_SUB, tenant_id=OTHER_SUB, ancestors=("pay",)))
        (finding,) = lint_groups(routes, "routes.yaml", GroupNames.of(two))
        assert str(finding).startswith(
            "routes.yaml: r: warning several-tenants: 2 tenants have a management group pay: write "
        )
        assert f"{SUB}/pay" in finding.sentence
        mine = read_routes(text({"name": "r", "managementGroups": [f"{SUB}/pay"], "instead": ["siem"]}))
        assert [one.places for one in shares(mine, two, ())] == [("siem",), (DEFAULT,)]
        assert lint_groups(mine, "routes.yaml", GroupNames.of(two)) == []

    def test_who_may_change_a_tag_or_an_owner_is_said_for_each_rule_that_asks_it(self) -> None:
        tag, owner = who_decides(self.ROUTES, ("Owner",))
        assert tag.startswith("by-tag: the tag unit of a subscription")
        assert "Microsoft.Resources/tags/write" in tag
        assert owner.startswith("by-owner: the owner (Owner)")
        assert "Virtual Machine Contributor" in owner


class TestStates:
    ROUTES = read_routes(text({"name": "a", "also": ["siem", "payments"]}))
    NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

    def letter(self, place: str, reason: str, ago: timedelta = timedelta(), **about: Any) -> DeadLetter:
        given = {"letters": 3, "replays": 0, "outage": True, "parked": False, "size": 1} | about
        written = self.NOW - ago
        return DeadLetter("n", "2026-11-28", reason, place, due=written, written=written, **given)

    def states(self, *letters: DeadLetter, **faults: str) -> dict[str, tuple[str, str]]:
        arrived = ({"siem.hub": 5, "DefenderAlerts_CL": 2}, {"payments.DefenderAlerts_CL": 7})
        found = states(self.ROUTES, lambda place: faults.get(place.name, ""), letters, arrived, self.NOW)
        assert {one.name: (one.today, one.yesterday) for one in found if one.today or one.yesterday} == {
            DEFAULT: (2, 0),
            "siem": (5, 0),
            "payments": (0, 7),
        }
        return {one.name: (one.state, one.reason) for one in found}

    def test_a_place_is_well_until_something_waits_for_it(self) -> None:
        assert self.states() == {DEFAULT: ("well", ""), "siem": ("well", ""), "payments": ("well", "")}

    @pytest.mark.parametrize(
        ("reason", "ago", "state"),
        [
            ("no-access", timedelta(), "refused"),
            ("unavailable", timedelta(), "unavailable"),
            ("not-configured", timedelta(), "misconfigured"),
            ("no-access", timedelta(hours=2), "behind"),
        ],
    )
    def test_the_latest_letter_says_how_it_does(self, reason: str, ago: timedelta, state: str) -> None:
        found = self.states(self.letter("payments.DefenderAlerts_CL", reason, ago))
        assert found["payments"] == (state, reason)
        assert found["siem"] == found[DEFAULT] == ("well", "")

    def test_settings_that_lack_something_come_first_and_undeclared_places_are_listed(self) -> None:
        gone = self.letter("gone.hub", "no-place", outage=False, parked=True)
        found = self.states(gone, self.letter("hub", "hub-unavailable"), siem="no connection")
        assert found["siem"] == ("misconfigured", "no connection")
        assert found["gone"] == ("undeclared", "no-place")
        assert found[DEFAULT] == ("unavailable", "hub-unavailable")
