"""Runs of the margins are kept line by line, add up to what they asked together, and are shown as they were kept."""

import json
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path

import pytest
from margins import MANIFEST, _range, main, not_on_record
from margins_judged import Task
from margins_record import (
    LARGEST_MARGIN,
    Growth,
    Line,
    added_up,
    asked_of_this_suite,
    counted,
    folded,
    growth,
    keep,
    read,
    recorded,
    table,
    whole_suites,
    write,
)
from right_codepaths import STRATEGIES

from conformance.golden import GoldenSet

GROWN = Growth("abc", "old", ("l2-new", "mae-new"))
PAGE = Path(__file__).parent.parent / "docs" / "evidence" / "margins.md"
RECORD = PAGE.with_suffix(".jsonl")
NONE = (0.0, "", "")
FIRST = Line(
    "abc", "torch", "compile", "float32", (0, 1), 4, 1, (0.25, "plain", "a"), (0.125, "one-row", "b"), NONE, (), 2.0
)
SECOND = replace(
    FIRST, ways=(2,), judged=2, value=(0.5, "plain", "c"), gradient=(0.0625, "plain", "a"), tied=(1.0, "x", "d")
)


def test_what_is_kept_is_read_again_and_other_suites_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "margins.jsonl"
    assert read(path) == []
    for line in (FIRST, replace(FIRST, suite="xyz"), SECOND):
        keep(path, line)
    assert counted(read(path), GROWN) == [FIRST, SECOND]


def test_runs_of_other_ways_add_up_and_of_other_dtypes_stand_apart() -> None:
    wide = replace(FIRST, dtype="float64")
    both = replace(FIRST, ways=(0, 1, 2), judged=6, skipped=2, seconds=4.0, value=SECOND.value, tied=SECOND.tied)
    assert added_up([wide, FIRST, SECOND], GROWN) == [both, wide]


def test_before_the_set_grows_again_a_record_is_one_line_of_every_case_each(tmp_path: Path) -> None:
    """Lines of two suites ago would be of no use: what has been asked of this one is kept as one line."""
    old, rest = replace(FIRST, suite="old"), replace(SECOND, since="old", ways=(0, 1))
    alone = replace(FIRST, suite="old", dtype="float64")
    assert folded([old, rest, alone], GROWN) == added_up([old, rest], GROWN)
    path = tmp_path / "margins.jsonl"
    write(path, folded([old, rest, alone], GROWN))
    assert counted(read(path), Growth("new", "abc", ("l2-newer",))) == added_up([old, rest], GROWN)


def test_a_fold_that_would_leave_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "margins.jsonl"
    keep(path, FIRST)
    before = path.read_text()
    monkeypatch.setattr("sys.argv", ["margins.py", "--fold", str(path)])
    assert main() == 2
    assert "holds no line of every case of suite" in capsys.readouterr().err
    assert path.read_text() == before and [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_dtype_may_hold_none_of_the_added_cases() -> None:
    none = replace(FIRST, judged=0, skipped=6)
    assert not none.good and replace(none, since="old").good
    assert not replace(none, since="old", skipped=0).good


def test_a_way_that_was_asked_twice_is_not_counted_twice() -> None:
    with pytest.raises(ValueError, match=r"torch compile float32: ways \[1\] are on record twice"):
        added_up([FIRST, replace(SECOND, ways=(1, 2))], GROWN)


def test_a_line_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "margins.jsonl"
    keep(path, FIRST)
    path.write_text(path.read_text() + path.read_text()[:40])
    with pytest.raises(ValueError, match="line 2 is no line of a record"):
        read(path)


def test_what_is_on_record_is_left_out_and_half_of_it_is_refused_before_it_is_asked() -> None:
    names = tuple(strategy.name for strategy in STRATEGIES)
    task = Task("jax", "jit", ("float32", "float64"), names, (), "cpu", (0, 1, 2, 3), None)
    line = replace(FIRST, framework="jax", mode="jit", ways=(0, 1, 2, 3))
    assert not_on_record([task], []) == [task]
    assert not_on_record([task], [line]) == [replace(task, dtypes=("float64",))]
    assert not_on_record([task], [line, replace(line, dtype="float64")]) == []
    assert not_on_record([replace(task, ways=(4, 5))], [line]) == [replace(task, ways=(4, 5))]
    with pytest.raises(ValueError, match=r"jax jit float32: ways \[0, 1, 2, 3\] of .* are on record; .* --ways"):
        not_on_record([replace(task, ways=tuple(range(12)))], [line])


def test_ways_are_a_range_of_those_that_there_are() -> None:
    assert _range("3") == (3,) and _range("4-7") == (4, 5, 6, 7)
    for wrong in ("7-4", "4-12", "x"):
        with pytest.raises((ValueError, ArgumentTypeError)):
            _range(wrong)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"value": (LARGEST_MARGIN, "plain", "a")}, True),
        ({"tied": (1.0, "plain", "a")}, True),
        ({"value": (LARGEST_MARGIN * 1.001, "plain", "a")}, False),
        ({"gradient": (LARGEST_MARGIN * 1.001, "plain", "a")}, False),
        ({"rejected": ("plain a: wrong",)}, False),
        ({"judged": 0}, False),
    ],
)
def test_a_line_is_good_where_nothing_is_rejected_nor_near_it(change: dict[str, object], good: bool) -> None:
    assert replace(FIRST, **change).good is good


def test_the_table_says_how_many_ways_were_asked_and_what_was_rejected() -> None:
    rows = table([FIRST, replace(SECOND, rejected=("plain a: wrong",))], GROWN).splitlines()
    assert rows[2].startswith("| torch | compile | float32 | all | 2 | 4 | 1 | 0.250 `plain` a | 0.125 `one-row` b |")
    assert rows[3].startswith("| torch | compile | float32 | all | 1 | 2 | 1 |") and "**1 rejected**" in rows[3]


def test_what_a_known_fault_of_the_compiler_made_wrong_is_kept_counted_and_shown(tmp_path: Path) -> None:
    """It is no false alarm: the line is as good as it is with the fault mended. Older records know of none."""
    wrong = replace(FIRST, miscompiled=("plain a (fault): wrong",))
    path = tmp_path / "margins.jsonl"
    for line in (wrong, SECOND):
        keep(path, line)
    path.write_text(path.read_text(encoding="utf-8").replace(', "miscompiled": []', ""), encoding="utf-8")
    assert read(path) == [wrong, SECOND]
    (both,) = added_up(read(path), GROWN)
    assert both.miscompiled == wrong.miscompiled and both.good
    assert table([both], GROWN).splitlines()[2].endswith(" 1 miscompiled |")


def test_what_was_asked_before_counts_beside_the_cases_added_since() -> None:
    old, rest = replace(FIRST, suite="old", ways=(0, 1, 2)), replace(SECOND, since="old", ways=(1, 2, 3))
    assert added_up([old], GROWN) == [old]
    assert table([old], GROWN).splitlines()[2].startswith("| torch | compile | float32 | but 2 | 3 | 4 | 1 |")
    (both,) = added_up([old, rest], GROWN)
    assert (both.suite, both.ways, both.judged, both.value) == ("abc", (1, 2), 6, SECOND.value)
    whole = replace(FIRST, ways=(5,))
    (more,) = added_up([old, rest, whole], GROWN)
    assert (more.ways, more.judged) == ((1, 2, 5), 10)
    assert added_up([rest], GROWN) == [], "the new cases alone are no suite"
    for ways, left in (((1, 2), 0), ((3, 4), 1)):
        task = Task("torch", "compile", ("float32",), (), (), "cpu", ways, None)
        assert len(not_on_record([task], asked_of_this_suite([old, rest], GROWN))) == left, "a whole suite in two parts"
    task = Task("torch", "compile", ("float32",), (), (), "cpu", (1, 2), None, "old")
    assert not_on_record([task], [rest]) == [] and not_on_record([task], [whole]) == [task]


def test_a_set_that_has_only_grown_is_told_from_one_that_changed(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    entry = {"previous": "0123456789abcdef", "added": ["l2-new"], "changed": [], "removed": []}
    path.write_text(json.dumps({"history": [{"changed": ["l2-old"], "removed": []}, entry]}))
    assert growth(path, "f" * 64) == Growth("f" * 12, "0123456789ab", ("l2-new",))
    for name in ("changed", "removed"):
        path.write_text(json.dumps({"history": [{**entry, name: ["l2-old"]}]}))
        assert growth(path, "f" * 64) == Growth("f" * 12, "", ())


def test_what_an_earlier_suite_was_asked_counts_as_long_as_only_cases_were_added(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    steps = [("a" * 64, "one"), ("b" * 64, "two"), ("c" * 64, "three")]
    entries = [{"previous": previous, "added": [name], "changed": [], "removed": []} for previous, name in steps]
    path.write_text(json.dumps({"history": entries}))
    suites = whole_suites([replace(FIRST, suite="b" * 12), replace(FIRST, suite="a" * 12, since="older")])
    assert growth(path, "f" * 64, suites) == Growth("f" * 12, "b" * 12, ("two", "three"))
    assert growth(path, "f" * 64, {"a" * 12, "b" * 12}).added == ("one", "two", "three")
    entries[1]["changed"] = ["zero"]
    path.write_text(json.dumps({"history": entries}))
    assert growth(path, "f" * 64, suites) == Growth("f" * 12, "c" * 12, ("three",))


def test_the_page_shows_the_record_of_this_suite(golden: GoldenSet) -> None:
    grown, on_record = recorded(RECORD, MANIFEST, golden.digest)
    lines = added_up(on_record, grown)
    assert lines and all(line.good for line in lines)
    assert table(lines, grown) in PAGE.read_text(encoding="utf-8")
