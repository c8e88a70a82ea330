"""Which workspaces can be asked of rows that routes send elsewhere, and why others can't."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shared.enrich.routing.place_workspaces import place_workspaces, sent_away, why_unseen
from shared.enrich.routing.routes_file import read_routes
from shared.exports.diagnostics import InvalidExport

OWN, OTHER, THIRD = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc")


def rule(number: int, workspace: object = None, **more: Any) -> dict[str, Any]:
    about = {"endpoint": "https://x.ingest.monitor.azure.com", "immutableId": f"dcr-{number}", **more}
    return {"rule": about if workspace is None else {**about, "workspaceId": workspace}}


def routes(places: dict[str, Any], *rules: dict[str, Any]) -> Any:
    listed = [{"name": f"r{number}", **each} for number, each in enumerate(rules)]
    named = [{"name": name, **place} for name, place in places.items()]
    return read_routes(yaml.safe_dump({"version": 1, "places": named, "rules": listed}))


def test_places_of_one_workspace_are_one_question_and_those_of_the_default_one_are_none() -> None:
    places = {
        "one": rule(1, OTHER.upper()),
        "two": rule(2, OTHER, streams={"DefenderAlerts_CL": "Custom-Alerts_CL"}),
        "home": rule(3, OWN),
        "renamed": rule(4, OWN, streams={"DefenderAlerts_CL": "Custom-Alerts_CL"}),
        "blind": rule(5),
        "hub": {"hub": {"name": "rows", "namespace": "ns.servicebus.windows.net"}},
    }
    known = place_workspaces(
        routes(places, {"kinds": ["Alert"], "also": ["one"]}, {"kinds": ["Assessment"], "instead": [*places]}),
        OWN.upper(),
    )
    (one,) = known.further
    assert (one.places, one.name, one.workspace_id) == (("one", "two"), "one+two", OTHER)
    assert one.kinds == frozenset({"Alert", "Assessment"})
    assert one.has("Assessment", "DefenderAssessments_CL")
    assert not one.has("Alert", "DefenderAlerts_CL"), "its name there is not known"
    assert not one.has("SecureScore", "DefenderSecureScores_CL"), "no rule sends it there"
    assert known.with_default == ("home",)
    assert {*known.unseen} == {"renamed", "blind", "hub"}
    assert all(why.startswith(f"not known for place {name}: ") for name, why in known.unseen.items())
    assert known.of("two") is one
    assert [known.of(name) for name in ("home", "hub", "default", "")] == [None] * 4


def test_a_rule_without_kinds_sends_every_kind_and_a_place_that_none_names_gets_none() -> None:
    places = {"one": rule(1, OTHER), "two": rule(2, THIRD)}
    found = place_workspaces(routes(places, {"kinds": ["Alert"], "also": ["one"]}, {"instead": ["one"]}), "")
    assert [each.kinds for each in found.further] == [None, frozenset()]


def test_only_rows_of_which_the_default_place_has_none_are_sent_away() -> None:
    places = {name: rule(number, OTHER) for number, name in enumerate("abcd")}
    found = routes(
        places,
        {"kinds": ["Alert"], "also": ["a"]},
        {"kinds": ["Alert"], "owners": ["x"], "instead": ["b", "default"]},
        {"kinds": ["Alert"], "owners": ["y"], "instead": ["c"]},
        {"kinds": ["Other"], "instead": ["d"]},
    )
    assert (sent_away(found, "Alert"), sent_away(found, "Other"), sent_away(found, "SecureScore")) == (
        ("c",),
        ("d",),
        (),
    )


@pytest.mark.parametrize("given", ["x", f"{{{OTHER}}}", f" {OTHER}", OTHER[:-1], 7, [OTHER], f"/workspaces/{OTHER}"])
def test_what_is_no_workspaces_id_is_refused(given: object) -> None:
    with pytest.raises(InvalidExport, match="workspaceId"):
        routes({"one": rule(1, given)}, {"also": ["one"]})


def test_a_hub_has_no_workspace() -> None:
    with pytest.raises(InvalidExport, match="workspaceId"):
        routes({"one": {"hub": {"name": "rows", "workspaceId": OTHER}}}, {"also": ["one"]})
    (place,) = routes({"one": {"hub": {"name": "rows"}}}, {"also": ["one"]}).places
    assert why_unseen(place) == "not known for place one: an output hub can't be asked what it holds"
