"""A pull request's effect on the store, from the files and what is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.exports.diagnostics import Diagnostic
from shared.exports.last_known_good import LoadedExport, LoadedExports, Problem
from shared.exports.model import ExportConfig, parse_export
from shared.exports.proposal import propose
from tests.unit.exports.examples import text


def config(name: str, **parts: Any) -> ExportConfig:
    return parse_export(text(name=name, **parts))


def stored(*configs: ExportConfig, unreadable: tuple[str, ...] = (), last_good: tuple[str, ...] = ()) -> LoadedExports:
    finding = (Diagnostic("not-yaml", "error", "x", "it is no YAML.", ""),)
    return LoadedExports(
        tuple(LoadedExport(one.name, one, f'"{one.name}"', one.name in last_good) for one in configs),
        tuple(Problem(name, finding, in_force=False) for name in unreadable)
        + tuple(Problem(name, finding, in_force=True) for name in last_good),
    )


HIGH = {"alerts": {"minimumSeverity": "High"}}
ALL: dict[str, object] = {"alerts": {}}


def test_what_a_pull_request_changes_adds_renames_and_removes() -> None:
    before = stored(config("soc", export=HIGH), config("former", export=ALL), config("gone", export=HIGH))
    made = propose(before, [config("soc", export=ALL), config("latter", export=ALL), config("extra")], prune=True)
    assert made.as_dict() == {
        "new": ["extra"],
        "changed": ["soc"],
        "renamed": {"latter": "former"},
        "deleted": ["gone"],
        "kept": [],
        "unchanged": [],
    }
    assert [one.name for one in made.loaded.exports] == ["extra", "latter", "soc"]
    assert {one.name: one.config for one in made.loaded.exports}["soc"] == config("soc", export=ALL)


def test_only_what_a_push_deletes_is_recorded_as_deleted() -> None:
    before = replace(stored(config("former"), config("gone", export=HIGH)), deleted={"back": "it was", "old": "it was"})
    files = [config("latter"), config("back", export=ALL)]
    assert propose(before, files, prune=False).loaded.deleted == {"old": "it was"}
    pruned = dict.fromkeys(("former", "gone"), "it is not among the files")
    assert propose(before, files, prune=True).loaded.deleted == {"old": "it was"} | pruned


def test_what_differs_counts_as_edited_after_all_that_is_stored() -> None:
    before = replace(stored(config("a"), config("b")), number=7)
    made = propose(before, [config("a"), config("b", export=HIGH), config("c")], prune=False)
    assert {one.name: one.number for one in made.loaded.exports} == {"a": 0, "b": 8, "c": 8}


def test_without_prune_what_is_stored_stays_and_is_no_rename() -> None:
    before = stored(config("former", export=ALL), config("soc"), unreadable=("broken",))
    made = propose(before, [config("latter", export=ALL), config("soc")], prune=False)
    assert (made.new, made.renamed, made.deleted) == (("latter",), {}, ())
    assert (made.kept, made.unchanged) == (("broken", "former"), ("soc",))
    assert [one.name for one in made.loaded.exports] == ["former", "latter", "soc"]
    assert [one.name for one in made.loaded.problems] == ["broken"]


def test_a_file_mends_a_stored_one_that_cannot_be_read() -> None:
    before = stored(config("old", export=HIGH), unreadable=("broken",), last_good=("old",))
    made = propose(before, [config("broken"), config("old", export=ALL)], prune=False)
    assert made.changed == ("broken", "old")
    assert made.loaded.problems == ()
    assert not any(one.last_known_good for one in made.loaded.exports)


def test_pruning_takes_unreadable_ones_too() -> None:
    made = propose(stored(unreadable=("broken",)), [config("soc")], prune=True)
    assert (made.deleted, made.loaded.problems) == (("broken",), ())


def test_two_that_say_the_same_take_one_former_name() -> None:
    made = propose(stored(config("former")), [config("a"), config("b")], prune=True)
    assert (made.renamed, made.new, made.deleted) == ({"a": "former"}, ("b",), ())


def test_two_former_names_of_one_leave_the_other_deleted() -> None:
    made = propose(stored(config("x"), config("y")), [config("a")], prune=True)
    assert (made.renamed, made.deleted) == ({"a": "x"}, ("y",))


def test_words_and_tests_alone_are_a_change_and_no_hindrance_to_a_rename() -> None:
    made = propose(stored(config("soc"), config("old")), [config("soc", description="new"), config("new")], prune=True)
    assert (made.changed, made.renamed) == (("soc",), {"new": "old"})


def test_an_empty_store_has_only_new_ones() -> None:
    made = propose(stored(), [config("a"), config("b")], prune=True)
    assert (made.new, made.deleted, made.unchanged) == (("a", "b"), (), ())
