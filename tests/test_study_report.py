"""The page of the study: made of the records alone, the same twice, with nothing left open and nothing made up."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.rollout.study import report
from conformance.rollout.study.figures import CELLS, FIGURES
from conformance.rollout.study.plan import FULL, settings
from conformance.rollout.study.records import append, line_of, read
from conformance.rollout.study.report import PLACES, ReportError, page, write
from conformance.rollout.study.settings import Setting
from conformance.rollout.study.statistics import MARGINS
from conformance.rollout.study.tables import SHOWN, Records, cell_verdicts, comparisons, spread
from conformance.rollout.study.thumbnails import SIDE

EVERYTHING = (
    "[[count]] [[count core sweep]] [[mean amplitude_mae arm=mae k=10]]\n[[metrics]]\n[[verdicts]]\n[[elsewhere]]\n"
    "[[tally l2_sample nll]]\n[[sweep dispersion real-like]]\n[[variation head=unbounded k=0.1]]\n"
    "[[combined synthetic 1e3]]\n[[gradients]]\n[[measured]]\n"
    "[[gates arm=nll]] [[difference phase_ssim arm=nll channels=1]]\n"
)
BROKEN = Setting("synthetic", 4, 1e6, "nll", 1)


def metrics_of(setting: Setting) -> dict[str, Any]:
    """Return made-up metrics: the legacy loss at 0.1, every other arm a tenth of the margin better, by seed."""
    if setting == BROKEN:
        return {"accepted": False, "finite": False, "loss_last": float("nan")}
    draw = np.random.default_rng(list(setting.run_id.encode()))
    better = 0.0 if setting.arm == "mae" else 0.1
    found: dict[str, Any] = dict.fromkeys(SHOWN, 0.5)
    for metric, margin in MARGINS.items():
        found[metric] = 0.1 - better * margin * (-1 if metric.endswith("ssim") else 1) + 1e-4 * setting.seed
    found["amplitude_ratio"] = 1.0 + 0.01 * setting.seed
    images = {}
    if setting.seed == 0:
        pixels = draw.integers(0, 256, SIDE * SIDE).astype(np.uint8).tobytes()
        images = dict.fromkeys(("image", "image_truth"), base64.b64encode(pixels).decode())
    curve = np.linspace(1, 0, 24).tolist()
    return {**found, "accepted": True, "gradient_norm_first": 0.125, "loss_last": 0.25, "frc": curve, **images}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "runs.jsonl"
    lines = [line_of(setting, metrics_of(setting), 1.0, {}) for setting in settings(FULL)]
    path.write_text("".join(lines[:-1]))
    append(path, lines[-1])
    return path


@pytest.fixture(scope="module")
def records(runs: Path) -> Records:
    return read(runs)


def test_the_same_records_give_the_same_bytes(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "template.md").write_text("# Title\n\n" + EVERYTHING, encoding="utf-8")
    monkeypatch.setattr(report, "TEMPLATE", tmp_path / "template.md")
    one, other = (write(runs, tmp_path / name) for name in ("one", "other"))
    assert [path.name for path in one] == [*(f"{name}.svg" for name in FIGURES), "rollout.md"]
    for left, right in zip(one, other):
        assert left.read_bytes() == right.read_bytes(), left.name
        assert left.stat().st_size > 1000
    text = one[-1].read_text(encoding="utf-8")
    assert "[[" not in text and text.startswith("# Title\n\n666 of 666 452 of 452 0.1\n")
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in one[:-1]}
    assert drawn["rollout-reconstructions"].count("<image") == 6 * 7
    assert "l2_sample_var" in drawn["rollout-sweep"] and "real-like, C = 1, 1e3 photons" in drawn["rollout-frc"]


def test_the_order_of_the_records_does_not_matter(records: Records) -> None:
    backwards = dict(reversed(list(records.items())))
    some = "[[count]] [[metrics]] [[sweep dispersion synthetic]] [[mean dispersion arm=mae]] [[gates arm=nll]]"
    assert page(backwards, some) == page(records, some)


def test_the_page_of_the_study_is_filled(records: Records) -> None:
    text = page(records, report.TEMPLATE.read_text(encoding="utf-8"))
    assert "[[" not in text and "]]" not in text


def test_every_place_is_tried_above() -> None:
    assert all(f"[[{name}" in EVERYTHING for name in PLACES)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("[[nothing]]", "got 'nothing', wanted one of mean, "),
        ("[[]]", "got '', wanted one of mean"),
        ("[[mean\nfoo arm=mae]]", "metric: got 'foo', wanted one of amplitude_mae"),
        ("[[mean dispersion arm=mae k=3]]", "0 such runs are on record, wanted at least one; run the study"),
        ("[[mean dispersion arm=mae seed=1]]", "got 'seed=1', wanted name=value with a name of data, channels"),
        ("[[mean dispersion mae]]", "got 'mae', wanted name=value"),
        ("[[mean dispersion]]", "arm"),
        ("[[mean dispersion arm=mae seeds=7]]", "5 such runs are on record, wanted 7; run the study"),
        ("[[mean dispersion arm=mae seeds=few]]", "invalid literal for int() with base 10: 'few'"),
        ("[[gates arm=mae seeds=6]]", "5 such runs are on record, wanted 6; run the study"),
        ("[[mean dispersion arm=l1]]", "arm: got 'l1', wanted one of mae"),
        ("[[mean]]", "not enough values"),
        ("[[gates arm=mae k=3]]", "0 such runs are on record, wanted at least one; run the study"),
        ("[[difference phase_mae arm=mae]]", "no pair is on record, wanted one; run the study"),
        ("[[difference dispersion arm=nll]]", "no pair is on record, wanted one; run the study"),
        ("[[difference phase_mae]]", "arm"),
        ("[[tally l2]]", "arm: got 'l2', wanted one of l2_sample"),
        ("[[tally mae]]", "arm: got 'mae', wanted one of l2_sample"),
        ("[[count everything]]", "everything"),
        ("[[sweep dispersion]]", "not enough values"),
        ("[[sweep dispersions synthetic]]", "metric: got 'dispersions', wanted one of"),
        ("[[sweep dispersion measured]]", "data: got 'measured', wanted one of synthetic, real-like"),
        ("[[variation channels=1]]", "data, channels and arm are not to be changed"),
        ("[[variation head=open]]", "head: got 'open', wanted one of bounded, unbounded"),
        ("[[combined synthetic many]]", "many"),
    ],
)
def test_a_place_that_means_nothing_is_refused(records: Records, place: str, said: str) -> None:
    with pytest.raises(ReportError) as refused:
        page(records, f"before {place} after")
    assert str(refused.value).startswith(f"{place}: ") and said in str(refused.value)


def test_no_record_makes_no_page(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no run is on record, wanted those of `nox -s study -- run`"):
        write(tmp_path / "absent.jsonl", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_made_leaves_nothing(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "template.md").write_text("[[nothing]]")
    monkeypatch.setattr(report, "TEMPLATE", tmp_path / "template.md")
    with pytest.raises(ReportError):
        write(runs, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_verdicts_say_what_was_put_in(records: Records) -> None:
    (row,) = (line for line in cell_verdicts(records, **CELLS[0]).splitlines() if line.startswith("| l2_sample |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # A tenth of 0.015 better in every seed; the ratio is as far from 1 as the legacy one.
    assert cells[:3] == ["l2_sample", "5", "-0.002 non-inferior (1.00)"] and cells[-1] == "+0.000 non-inferior (1.00)"


def test_a_run_that_broke_down_shows_in_its_row(records: Records) -> None:
    table = cell_verdicts(records, **CELLS[0])
    (row,) = (line for line in table.splitlines() if line.startswith("| nll |"))
    assert row.count("+inf inconclusive (0.00)") == len(MARGINS) and "| nll | 5 |" in row
    broken = [one for one in comparisons(records, **CELLS[0]) if one.arm == "nll"]
    assert all(one.differences[1] == float("inf") for one in broken)


def test_seeds_keeps_the_first_ones(records: Records) -> None:
    # metrics_of raises the amplitude ratio by 0.01 a seed from 1.
    text = page(
        records, "[[mean amplitude_ratio arm=mae]] [[mean amplitude_ratio arm=mae seeds=3]] [[gates arm=mae seeds=2]]"
    )
    assert text == "1.02 1.01 2/2"


def test_mean_and_spread_of_numbers_by_hand() -> None:
    assert spread([]) == "-" and spread([0.25]) == "0.250" and spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
