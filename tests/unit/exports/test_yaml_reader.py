from __future__ import annotations

import pytest

from shared.exports.yaml_reader import MAX_BYTES, MAX_DEPTH, Unreadable, read


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", None),
        ("# only a comment", None),
        ("a: 1\nb: [x, 2.5, true, null]\nc: {d: ~}", {"a": 1, "b": ["x", 2.5, True, None], "c": {"d": None}}),
        ("a:\n  - b: c\n  - d", {"a": [{"b": "c"}, "d"]}),
        ('{"json": ["is", "YAML"]}', {"json": ["is", "YAML"]}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("- - a\n- - b", [["a"], ["b"]]),
        ("null: x\n7: y\ntrue: z", {"null": "x", "7": "y", "true": "z"}),
        ("\ufeffa: b", {"a": "b"}),
        ("text", "text"),
    ],
)
def test_yaml_is_read_as_plain_data(text: str, content: object) -> None:
    assert read(text).content == content
    assert read(text.encode()).content == content


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ('"true"', "true"),
        ("'7'", "7"),
        ("-7", -7),
        ("+7", 7),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("9" * 18, int("9" * 18)),
        ("9" * 19, "9" * 19),
        ("~", None),
        ("", None),
        ('""', ""),
    ],
)
def test_scalars_follow_yaml_1_2(scalar: str, value: object) -> None:
    content = read(f"key: {scalar}").content
    assert content == {"key": value}
    assert type(content["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: &x 1", "alias", 1),
        ("a: 1\nb: *x", "alias", 2),
        ("a: &x [1]\nb: *x", "alias", 1),
        ("a: &x {b: 1}", "alias", 1),
        ("a: 1\n---\nb: 2", "several-documents", 2),
        ("a: 1\na: 2", "repeated-key", 2),
        ("b:\n  a: 1\n  a: 1", "repeated-key", 3),
        ("? [a]\n: b", "key-is-no-text", 1),
        ("? {a: b}\n: b", "key-is-no-text", 1),
        ("a: [1\nb: 2", "not-yaml", 1),
        ("a: 'b", "not-yaml", 1),
        ("\ta: b", "not-yaml", 1),
        ("a: \x07", "not-yaml", 0),
        ("[" * (MAX_DEPTH + 1), "too-deep", 1),
        ("[" * 100_000, "too-deep", 1),
        ("a: " * 3, "not-yaml", 1),
        ("x" * (MAX_BYTES + 1), "too-large", 0),
        (b"a: \xff", "not-utf8", 0),
        ("a: b".encode("utf-16"), "not-utf8", 0),
        ("a: \udc00", "not-utf8", 0),
    ],
)
def test_what_is_ambiguous_or_hostile_is_refused_with_its_line(text: str | bytes, code: str, line: int) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert caught.value.sentence.endswith(".")


def test_the_limits_themselves_are_allowed() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH).content is not None
    assert read("#" * MAX_BYTES).content is None


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(Unreadable, match="the key 'a' is given twice"):
        read("{a: 1, a: 2}")


def test_the_same_key_in_two_mappings_is_no_repeat() -> None:
    assert read("[{a: 1}, {a: 2}]").content == [{"a": 1}, {"a": 2}]


def test_every_path_knows_its_line() -> None:
    document = read("a: 1\nb:\n  - c\n  - d:\n      e: f\n")
    assert document.line_of(("a",)) == 1
    assert document.line_of(("b",)) == 3
    assert document.line_of(("b", 0)) == 3
    assert document.line_of(("b", 1)) == 4
    assert document.line_of(("b", 1, "d", "e")) == 5


def test_a_missing_path_has_the_line_of_what_it_is_missing_from() -> None:
    document = read("x: y\na:\n  b: c\n")
    assert document.line_of(("a", "missing", 7)) == 3
    assert document.line_of(("missing",)) == 1
    assert document.line_of(()) == 1
