"""What an Azure resource id says."""

from __future__ import annotations

from typing import Any

import pytest

from shared.enrich.records.field_mapping import OTHER
from shared.enrich.records.reader_output import values_type
from shared.enrich.records.resource_ids import fill_azure_place, fill_place, segment_after

COLUMNS = ("SubscriptionId", "ResourceGroup", "ResourceType", "ResourceName")
GROUP = "/subscriptions/s/resourcegroups/g"


def nothing() -> Any:
    """A row without any value."""
    return values_type(OTHER)()


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ("/subscriptions/s", ("s", None, "microsoft.resources/subscriptions", "s")),
        (GROUP, ("s", "g", "microsoft.resources/subscriptions/resourcegroups", "g")),
        (f"{GROUP}/providers/p/t/n", ("s", "g", "p/t", "n")),
        (f"{GROUP}/providers/p/t/n/u/m", ("s", "g", "p/t/u", "m")),
        (f"{GROUP}/providers/p/t/n/providers/q/v/o", ("s", "g", "q/v", "o")),
        ("/subscriptions/s/resourcegroups//providers/p/t/n", ("s", None, "p/t", "n")),
        ("/subscriptions/s/elsewhere/g/providers/p/t/n", ("s", None, "p/t", "n")),
        ("/subscriptions/s/providers/p/t/n/u/m", ("s", None, "p/t/u", "m")),
        ("/subscriptions/s/providers/p/t/n", ("s", None, "p/t", "n")),
    ],
)
def test_an_azure_id_says_where_its_resource_is(resource: str, slash: str, place: tuple[str | None, ...]) -> None:
    for fill in (fill_place, fill_azure_place):
        values = nothing()
        assert fill(values, resource + slash)
        assert tuple(getattr(values, column) for column in COLUMNS) == place
        assert values.ResourceId == resource


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("resource", ["/aws/7", "/aws/accounts/7", "/aws/s/resourcegroups/g/providers/p/t/7"])
def test_another_clouds_id_only_names_its_resource(resource: str, slash: str) -> None:
    values = nothing()
    assert not fill_azure_place(values, resource + slash)
    assert values == nothing()
    assert fill_place(values, resource + slash)
    assert values == type(values)(ResourceId=resource, ResourceName="7")


@pytest.mark.parametrize("text", ["", "7", "subscriptions/s/x"])
def test_what_is_no_id_fills_nothing(text: str) -> None:
    values = nothing()
    assert not fill_place(values, text)
    assert values == nothing()


def test_a_name_that_the_record_gives_is_kept() -> None:
    for resource in ("/subscriptions/s", GROUP, f"{GROUP}/providers/p/t/n", "/aws/7"):
        values = type(nothing())(ResourceName="Given")
        assert fill_place(values, resource)
        assert values.ResourceName == "Given"


def test_a_segment_is_cut_out_of_an_id() -> None:
    assert segment_after("/a/x/b", "/a/") == "x"
    assert segment_after("/a/x", "/a/", "/A/X") == "X"
    assert segment_after("/a/x", "/b/") == ""
