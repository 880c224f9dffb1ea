"""The generated pages are what they would be now, say no more than a green run, and the derivation names the code."""

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from conformance.case import DTYPES, Case
from conformance.difficulty import difficulty
from conformance.golden import GoldenSet
from conformance.resolution import resolution
from conformance.tolerance import ARITHMETICS, arithmetic, narrow
from conformance.tolerance.arithmetic import both
from conformance.tolerance.inputs import components_of
from conformance.verdict import Verdict, margins, tolerances

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DOUBLE = ARITHMETICS["float64"]
FRAMEWORKS = ("jax", "torch", "tensorflow")


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    import generate

    return generate


def green(golden: GoldenSet) -> list[Verdict]:
    """What a run says in which everything passes."""
    return [
        Verdict(
            case.question.case_id,
            case.question.loss,
            backend,
            dtype,
            "eager",
            "cpu",
            "pass" if case.question.holds(dtype) else "skip",
            0.25,
            0.5,
        )
        for backend in FRAMEWORKS
        for dtype in DTYPES
        for case in golden.cases
    ]


def test_the_pages_are_those_of_a_green_run(golden: GoldenSet, generate: ModuleType) -> None:
    """Without running the judge, which `nox -s docs` does: all else follows from the checkout.

    `test_liars` has the page of the bank.
    """
    assert generate.differences(DOCS, generate.pages(golden, green(golden))) == []


def test_the_figure_is_of_this_suite(golden: GoldenSet) -> None:
    drawn = (DOCS / "figures" / "margins.svg").read_text(encoding="utf-8")
    assert f"suite {golden.digest[:12]}" in drawn
    assert all(case.question.case_id in drawn for case in golden.cases)


def test_one_failure_is_named_in_its_row_and_nowhere_hidden(golden: GoldenSet, generate: ModuleType) -> None:
    found = generate.statuses(green(golden))
    found["torch", "float32"]["l2-underflow"] = "fail"
    found["jax", "float64"]["nll-signed"] = "skip"
    page = generate.contract_page(golden, found, ROOT / "oracle")
    (row,) = [line for line in page.splitlines() if line.startswith("| Norms below the root of the smallest number")]
    assert row.endswith("| pass 1/1, 1/1 | **FAIL** 1/1, 0/1: `l2-underflow` float32 fail | pass 1/1, 1/1 |")
    assert "**FAIL** 1/2, 2/2: `nll-signed` float64 skip" in page
    del found["torch", "float32"]["l2-underflow"]
    assert "`l2-underflow` float32 missing" in generate.contract_page(golden, found, ROOT / "oracle")


def test_check_exits_1_with_a_diff_and_0_without(
    golden: GoldenSet, generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"a.md": "one\ntwo\n", "b.md": "three\n"}
    (tmp_path / "a.md").write_text("one\n2\n")
    assert generate.check(tmp_path, golden, wanted) == 1
    said = capsys.readouterr().out
    assert "-2\n+two\n" in said and "+three\n" in said and "figures/margins.svg: missing" in said
    for name, text in wanted.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "margins.svg").write_text(f"suite {golden.digest[:12]}")
    assert generate.check(tmp_path, golden, wanted) == 0


def test_the_same_verdicts_draw_the_same_bytes(golden: GoldenSet, generate: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the figure is drawn in the docs environment")
    import margin_figure

    for name in ("one.svg", "two.svg"):
        margin_figure.write_margins(tmp_path / name, golden, green(golden)[:40])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_two_digits_do_not_depend_on_the_last_bits(generate: ModuleType) -> None:
    import cases_page

    for number, printed in ((0.125, "0.12"), (0.135, "0.14"), (1.0, "1"), (8.25e5, "820000"), (2.25e-15, "2.2e-15")):
        near = (np.nextafter(number, 0), number, np.nextafter(number, 9e9))
        assert {cases_page.two_digits(float(x)) for x in near} == {printed}
    assert cases_page.two_digits(float("nan")) == "-"


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["l2-typical", "l2-intensity", "mae-scaled", "nll-billion", "l2-per-element"])
def test_a_resolution_is_the_error_at_which_a_case_begins_to_fail(
    case_of: dict[str, Case], name: str, dtype: str
) -> None:
    case = case_of[name]
    found = resolution(case, dtype)
    assert found is not None
    _, of_value, of_gradient = tolerances(case, dtype)
    gradient = components_of(case.truth.gradient)
    for truth, tolerance, smallest in (
        (case.truth.value, of_value, found.value),
        (gradient, of_gradient, found.gradient),
    ):
        for factor, fails in ((0.85, False), (1.2, True)):
            worst = np.max(margins(truth * (1 + factor * smallest), truth, tolerance))
            assert (worst > 1) == fails


def test_where_there_is_no_number_there_is_no_resolution(case_of: dict[str, Case]) -> None:
    assert resolution(case_of["l2-field"], "float16") is None
    nothing = resolution(case_of["l2-nan-target"], "float32")
    assert nothing is not None and np.isnan(nothing.value) and np.isnan(nothing.gradient)
    assert np.isnan(difficulty(case_of["l2-equal"]).value)


def test_difficulties_by_hand(case_of: dict[str, Case]) -> None:
    """p = t (1 +- 1/4): (p^2 + t^2) / |p^2 - t^2| is 41/9 above and 25/7 below; all of one sign, lambda is one part."""
    hard = difficulty(case_of["nll-quarter-off"])
    assert hard.largest == pytest.approx(41 / 9, rel=DOUBLE.grow(32))
    assert difficulty(case_of["mae-typical"]).largest == pytest.approx(1, rel=DOUBLE.grow(2))
    case = case_of["mae-bit-exact"]
    p, t = case.question.prediction, case.question.target
    assert difficulty(case).value == pytest.approx(
        np.sum(p + t) / np.sum(np.abs(p - t)), rel=both(2 * DOUBLE.summation(p.size), DOUBLE.grow(4))
    )
    for other in case_of.values():
        found = difficulty(other)
        assert not min(found.value, found.median) < 1 - 1e-12, other.question.case_id


def test_the_table_of_hypotheses_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([A-Z_]+) \| (\d+)", (DOCS / "tolerances.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 8
    assert {name: int(bound) for name, bound in rows} == {name: getattr(arithmetic, name) for name, _ in rows}
    assert narrow.ROUNDINGS == 2 and arithmetic.GAIN == arithmetic.SQUARE_ROOT + 1


def test_every_path_that_the_derivation_names_is_there() -> None:
    named = re.findall(r"`((?:conformance|tests)/[\w/.]+)`", (DOCS / "tolerances.md").read_text("utf-8"))
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []
